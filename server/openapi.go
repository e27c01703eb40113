package server

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
)

// openapi.json describes every route of the API's listener. Tests hold it and the router against each other, and the
// answers of real handlers against its schemas.
//
//go:embed openapi.json
var openapiJSON []byte

// openapiFor is the document as this server has it: with its version, and with keys only where it asks for some.
func openapiFor(version string, keys bool) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(openapiJSON, &doc); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	var info map[string]any
	if err := json.Unmarshal(doc["info"], &info); err != nil {
		return nil, fmt.Errorf("openapi.json: info: %w", err)
	}
	info["version"] = version
	data, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	doc["info"] = data
	if !keys {
		delete(doc, "security")
	}
	return json.Marshal(doc)
}

func (s *Server) getOpenAPI(c *gin.Context) {
	data, err := openapiFor(s.cfg.Version, len(s.keys) > 0)
	if err != nil {
		s.fail(c, err)
		return
	}
	respond(c, http.StatusOK, json.RawMessage(data))
}
