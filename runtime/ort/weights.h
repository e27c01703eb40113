// Copies of weights in huge pages; see weights.c.
#ifndef LOOPSERVE_WEIGHTS_H
#define LOOPSERVE_WEIGHTS_H
#include <stddef.h>

// A copy, aligned to 64; the original's pages are given back where a file has them. NULL where a copy gains
// nothing or there is no memory: read the original then.
const void *ls_weights_take(const void *data, size_t bytes);
// Frees a copy, and does nothing with NULL.
void ls_weights_give(const void *weights);
size_t ls_weights_live(void);  // copies that are held

#endif
