// Package chat makes a prompt of messages and tools by the model's template, and takes the answer's text apart into
// reasoning, calls of tools and content. It generates nothing, and knows no HTTP.
package chat
