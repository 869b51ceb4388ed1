#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Reads each line of an audit log with simdjson's On-Demand parser and counts the requests that agree in what Whittle keeps of them.
///
/// Returns the events of the log; -1 when it cannot be read.
long simdjson_fold(const char *path);

#ifdef __cplusplus
}
#endif
