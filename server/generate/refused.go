package generate

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// Refused is what the scheduler finds wrong with a field, as the client gets it.
func Refused(f *loopctl.FieldError) *api.Error {
	code := api.CodeValue
	switch {
	case f.With != "":
		code = "conflicting_fields"
	case f.Field == "exit_policy":
		code = "unsupported_policy"
	case f.High == 0: // no question of bounds
	case f.Field == "loops" || f.Field == "min_loops" || f.Field == "replay_loops" || f.Field == "draft_loops":
		code = "loops_out_of_range"
	case f.Field == "prompt":
		code = "token_id_out_of_range"
	}
	return api.Bad(f.Field, code, "%s", f.Error())
}

// RefusedFrom is Refused of a value that another place than its field gave: where names it, as "header X-Loops".
func RefusedFrom(f *loopctl.FieldError, where, param string) *api.Error {
	e := Refused(f)
	e.Param, e.Message = param, fmt.Sprintf("%s%s is %v: %s", where, f.Item, f.Value, f.Why)
	return e
}
