package chat

import (
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/server/api"
)

// templateArgs are the arguments that a request may pass to a template. A name that is not among them could be one that
// the template uses for itself.
var templateArgs = []string{"enable_thinking", "thinking", "reasoning_effort", "date_string", "tools_in_user_message"}

// ownNames are those that templates get of the conversation, and ask about as if they were switches.
var ownNames = strings.Fields("messages tools documents add_generation_prompt bos_token eos_token raise_exception strftime_now")

// mostArg bounds an argument's JSON.
const mostArg = 1024

// kwargs reads chat_template_kwargs, and the effort for templates that speak of it.
func (t *Template) kwargs(v *api.Values, more []string) (map[string]any, error) {
	const field = "chat_template_kwargs"
	out := map[string]any{}
	if effort := v.Effort(); effort != "" {
		out["reasoning_effort"] = effort
	}
	allowed := slices.Concat(templateArgs, more)
	for name, raw := range v.Object(field) {
		switch {
		case !slices.Contains(allowed, name) && !t.declares(name):
			return nil, api.Bad(field, "unsupported_field", "%s has %s, which a request may not set: the names are %s", field, api.Quote(name), strings.Join(allowed, ", "))
		case raw[0] == '{' || raw[0] == '[':
			return nil, api.Bad(field, api.CodeType, "%s.%s is %s: it must be a string, a number, true or false", field, name, api.Show(raw))
		case len(raw) > mostArg:
			return nil, api.Bad(field, api.CodeValue, "%s.%s has %d bytes: at most %d are allowed", field, name, len(raw), mostArg)
		}
		out[name] = raw
	}
	return out, nil
}

// switchName is a name that a template may leave to its callers.
var switchName = regexp.MustCompile(`^[A-Za-z_]\w{0,63}$`)

// declares says whether the template leaves a name to its callers: it reads the name and never sets it, asks whether it is
// defined, or has a default for it.
func (t *Template) declares(name string) bool {
	if !switchName.MatchString(name) || t.special[name] != "" || slices.Contains(ownNames, name) {
		return false
	}
	if parsed, err := t.compiled(); err == nil && parsed.Free(name) {
		return true
	}
	asked := regexp.MustCompile(`(?:^|[^.\w'"])` + name + `\s*(?:is\s+(?:not\s+)?defined|\|\s*d(?:efault)?)\b`)
	return asked.MatchString(t.source)
}
