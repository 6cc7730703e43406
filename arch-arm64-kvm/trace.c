// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoint that Rust code calls.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"
