// Package kv accounts for the KV pages of one engine: which sequence holds which page, who was promised how many, and
// which pages are shared by equal prefixes. Bytes are the engine's; kv never sees them.
//
//	Admit ──▶ Grow ──▶ Pages ──▶ Skip ──▶ Share ──▶ Release
//	promises  one more  the table  copies     full pages  own pages are free, shared ones
//	pages     a plane   of a call  for planes become the  stay in the cache until somebody
//	                               not reached cache's    needs their room
//
// A page holds PageSize tokens of all layers of a stage. A sequence has one page table in the prelude, one in the coda
// and one for each plane of the block: which loop writes which plane is the Policy.
//
// What always holds, and Check proves: every page has one owner (the free list, a sequence or the cache); a promise can
// be kept, so that Pages never fails; nobody writes to a page of the cache.
//
// The package knows no request, no scheduler and no clock, and imports the standard library alone. A Memory belongs to
// one goroutine.
package kv
