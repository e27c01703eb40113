// The inner loops, written once and compiled for each instruction set and each kind of cache by the including
// attention_<isa>_<kind>.c, which defines LS_KV, LS_NAME(x) and, through attention_<isa>.h, its register
// blocks.
//
// The headers are a chain, each on top of the one before: attention_vector.h (arithmetic), attention_kv.h
// (numbers of a cache), attention_prepare.h (first half of a call), attention_task.h, attention_block.h (what
// both ways to attend are made of), attention_tile.h and attention_few.h (second half), and this one.
#include "attention_few.h"
#include "attention_tile.h"

static void attend(const ls_task *t) {
  if (t->few) {
    attend_few(t);
  } else {
    attend_tile(t);
  }
}

const ls_kernels LS_NAME(ls_kernels) = {prepare, attend, join, TILE_QUERIES, FEW_QUERIES};
