/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines to stderr: "2026-01-02T03:04:05.678Z level name: text", one write(2) a line. Log where the cause
 * is known, once. The level comes from WEFT_LOG (error, warn, info, debug; default info).
 */
#ifndef WEFT_BASE_LOG_H
#define WEFT_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* name is shown in every line, e.g. "planner[node-1]"; copied. */
void log_open(const char *name);
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
