package server

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/gin-gonic/gin"
)

// openapi.json describes every route of the API's listener. Tests hold it and the router against each other, and the
// answers of real handlers against its schemas.
//
//go:embed openapi.json
var openapiJSON []byte

// getOpenAPI gives the document as this server has it: with its version and root, and with keys only where it asks for some.
func (s *Server) getOpenAPI(*gin.Context) (any, error) {
	var doc map[string]any
	if err := json.Unmarshal(openapiJSON, &doc); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	doc["info"].(map[string]any)["version"] = s.cfg.Version // a test reads the file, which has the field
	doc["servers"] = []gin.H{{"url": cmp.Or(s.cfg.RootPath, "/")}}
	if len(s.keys) == 0 {
		delete(doc, "security")
	}
	return doc, nil
}
