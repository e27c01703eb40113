// The operators of the domain `loopserve`, for CPU sessions.
#ifndef LOOPSERVE_ORT_CUSTOMOP_H
#define LOOPSERVE_ORT_CUSTOMOP_H
#include <stddef.h>

// The threads of the global pool: how many shares a call is cut into. Set once, before the first session.
void ls_custom_ops_threads(size_t n);
#endif
