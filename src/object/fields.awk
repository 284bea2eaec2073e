# SPDX-License-Identifier: Apache-2.0
# Reads tables/fields.def and writes each FIELD row again with the name of the struct around it, FIELD_IN(struct, …),
# which the C preprocessor cannot know but offsetof() needs. Run by src/object/meson.build.
/^STRUCT_BEGIN\(/ { id = $0; sub(/^STRUCT_BEGIN\(/, "", id); sub(/\).*/, "", id) }
/^FIELD\(/ { sub(/^FIELD\(/, "FIELD_IN(" id ", ") }
{ print }
