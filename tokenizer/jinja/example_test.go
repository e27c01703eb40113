package jinja_test

import (
	"context"
	"fmt"

	"github.com/loopserve/loopserve/tokenizer/jinja"
)

func ExampleTemplate_RenderChat() {
	tmpl, err := jinja.Parse("{% for m in messages %}[{{ m.role }}] {{ m.content|trim }}\n{% endfor %}", jinja.Limits{}, jinja.Generation)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := tmpl.RenderChat(context.Background(), jinja.Chat{Messages: []byte(`[{"role": "user", "content": " Hi "}]`)})
	fmt.Println(out, err)
	// Output:
	// [user] Hi
	//  <nil>
}
