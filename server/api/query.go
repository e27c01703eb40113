package api

import (
	"encoding/json"
	"net/url"
	"strings"
)

// Query makes a body of a query, for the rows of a route: what is JSON of another kind than a text stays so, and a list has
// commas between its items. What has no row is left out.
func Query(query url.Values, route Route) (Body, error) {
	b := Body{}
	for i := range table {
		f := &table[i]
		given := query[f.Name]
		if f.Routes&route == 0 || given == nil {
			continue
		}
		if len(given) > 1 {
			return nil, Bad(f.Name, CodeValue, "%s is given %d times: give it once", f.Name, len(given))
		}
		text := strings.TrimSpace(given[0])
		if f.Kind == IntList {
			text = "[" + text + "]"
		}
		if f.Kind == Text || text == "null" || !json.Valid([]byte(text)) { // a query has no null: what is not given is left out
			quoted, _ := json.Marshal(given[0]) // a text is never refused
			text = string(quoted)
		}
		b[f.Name] = json.RawMessage(text)
	}
	return b, nil
}
