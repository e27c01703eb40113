package generate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// Refused is what clients are told of a field that loopctl refuses.
func Refused(e *loopctl.FieldError) *api.Error {
	code := api.CodeValue
	switch {
	case e.With != "":
		code = "conflicting_fields"
	case e.Field == "exit_policy":
		code = "unsupported_policy"
	case strings.HasSuffix(e.Field, "loops"):
		code = api.CodeLoops
	case e.Field == "prompt" && e.Item != "":
		code = "token_id_out_of_range"
	}
	return api.Bad(e.Field, code, "%s", e.Error())
}

// depthError words an error of CheckDepth with what the body says: the value as it was sent, and the field that was sent
// where it stands for another one.
func depthError(err error, v *api.Values, loops origin) error {
	e, ok := errors.AsType[*loopctl.FieldError](err)
	if !ok {
		return err
	}
	out := Refused(e)
	raw := v.Raw(e.Field)
	switch {
	case e.Field == "loops":
		return v.OutOfRange(loops.field, loops.what, loops.raw)
	case e.With == "elastic" && !v.Has("elastic"): // which target_itl_ms implies
		out.Message = strings.Replace(out.Message, "and elastic", "and target_itl_ms", 1)
	case e.With == "" && e.Item == "" && raw != nil:
		out.Message = fmt.Sprintf("%s is %s: %s", e.Field, api.Show(raw), e.Why)
		if _, number := api.Float(raw); e.Field == "exit_threshold" && !number {
			out.Code = api.CodeType
		}
	}
	return out
}
