package tokenizer_test

import (
	"fmt"

	"github.com/loopserve/loopserve/tokenizer"
)

const exampleFile = `{
	"model": {"type": "WordLevel", "vocab": {"<s>": 0, "one": 1, "loop": 2, "more": 3, "?": 4}, "unk_token": "?"},
	"pre_tokenizer": {"type": "Whitespace"},
	"added_tokens": [{"id": 0, "content": "<s>", "special": true}]
}`

func ExampleParse() {
	tok, err := tokenizer.Parse([]byte(exampleFile), []byte(`{"bos_token": "<s>", "add_bos_token": true}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, _ := tok.Encode("one loop more", true)
	fmt.Println(ids)

	d := tok.NewDecoder(true) // leaves <s> out
	for _, id := range ids {
		fmt.Printf("%q ", d.Push(id))
	}
	fmt.Printf("%q\n", d.Flush())
	// Output:
	// [0 1 2 3]
	// "" "one" " loop" " more" ""
}
