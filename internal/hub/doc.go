// Package hub brings files of the Hugging Face hub into the cache that Python's huggingface_hub keeps, in its layout, so that
// each finds what the other has fetched:
//
//	HF_HUB_CACHE/
//	  .locks/models--ORG--NAME/ETAG.lock   the flock of who fetches a blob
//	  models--ORG--NAME/
//	    refs/main                          the commit that main was when it was last asked for
//	    blobs/ETAG                         a file: ETAG is its sha256, or the sha1 of a small one as git's blob
//	    blobs/ETAG.incomplete              the beginning of one, to go on from
//	    snapshots/COMMIT/config.json       a link to ../../blobs/ETAG
//
// A blob has its name when its hash has been compared, and not before. Whatever the hub says, nothing is read or written
// outside the cache's folder, and the token goes to the endpoint alone. The package knows no model's format, and starts no goroutine.
package hub
