# SPDX-License-Identifier: Apache-2.0
"""Runs a command where no program can be attached to a tracepoint, as where the kernel or a sandbox refuses it: bpf(2) with
BPF_RAW_TRACEPOINT_OPEN fails with EPERM, by a seccomp filter. unwatched.py COMMAND…"""
import ctypes
import os
import platform
import struct
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
RAW_TRACEPOINT_OPEN, EPERM = 17, 1
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, ERRNO = 0x7fff0000, 0x00050000
LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16  # of struct seccomp_data; its low half


def step(code, k, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, k)


steps = b"".join([step(LOAD, NUMBER_AT), step(EQUAL, BPF, 0, 3), step(LOAD, FIRST_ARGUMENT_AT), step(EQUAL, RAW_TRACEPOINT_OPEN, 0, 1),
                  step(ANSWER, ERRNO | EPERM), step(ANSWER, ALLOW)])
text = ctypes.create_string_buffer(steps)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
    sys.exit("unwatched: seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
