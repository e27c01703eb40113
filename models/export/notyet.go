package export

const twoTables = "its layers are looped twice with a window in the second loop that gates local and global attention, and its loops " +
	"hand states from token to token: a block with one table of keys for each loop has no room for either"

// notYet are looped models that people download and no family here is: what is missing, for who tries one.
var notYet = map[string]string{
	"iquestloopcoder": twoTables,
	"iquestpltcoder":  twoTables,
	"inkling2_loop": "its loop exchanges low-rank messages between passes and carries the state of short convolutions per layer, beside a " +
		"mixture of 128 experts: attention here has no additive bias, and a sequence no state but keys and values",
}
