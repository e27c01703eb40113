package constrain

import (
	"strconv"
	"strings"
)

// What the formats are made of. The days of February are those of all years, and the 29th of leap years.
const (
	yearForm = `([1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])`
	leapForm = `(\d\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)`
	dateForm = `(` + yearForm + `-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|` + leapForm + `-02-29)`
	hourForm = `([01]\d|2[0-3]):[0-5]\d`
	timeForm = hourForm + `:[0-5]\d(\.\d{1,9})?(Z|[+-]` + hourForm + `)`
	ipv4Form = `((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	nameForm = `[a-zA-Z0-9]{1,20}(-[a-zA-Z0-9]{1,19})?`
	hostForm = `(` + nameForm + `\.){0,4}[a-zA-Z]{1,20}(-[a-zA-Z0-9]{1,19})?`
	charForm = `([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})`
	restForm = `(/` + charForm + `*)*(\?(` + charForm + `|[/?])*)?(#(` + charForm + `|[/?])*)?`
	urlForm  = `https?://` + hostForm + `(:[1-9]\d{0,3})?` + restForm
)

// formats are what the formats look like. Most are narrower than their standard: no leap second, addresses of the web only,
// names of ASCII.
var formats = map[string]string{
	"date":      dateForm,
	"time":      timeForm,
	"date-time": dateForm + "T" + timeForm,
	"duration":  `P(\d{1,5}W|\d{1,5}Y(\d{1,5}M(\d{1,5}D)?)?TIME?|\d{1,5}M(\d{1,5}D)?TIME?|\d{1,5}DTIME?|TIME)`,
	"uuid":      `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`,
	"ipv4":      ipv4Form,
	"ipv6":      ipv6Form(),
	"email":     `[a-zA-Z0-9_+-]{1,32}(\.[a-zA-Z0-9_+-]{1,31})?@(` + nameForm + `\.){1,3}[a-zA-Z]{2,12}`,
	"hostname":  hostForm,
	"uri":       urlForm,
	"url":       urlForm,
	// A reference may be all that an address is, or its end.
	"uri-reference":         `(` + urlForm + `|/?` + charForm + `+` + restForm + `)`,
	"json-pointer":          `(/([^/~]|~[01])*)*`,
	"relative-json-pointer": `(0|[1-9]\d{0,8})(#|(/([^/~]|~[01])*)*)`,
	"regex":                 `([a-zA-Z0-9 _-]|\\[dDsSwW]|[.][*+?]?)*`,
	"byte":                  base64Form, "base64": base64Form, "base64url": `[A-Za-z0-9_-]*`,
	"ipvanyaddress": ipv4Form, "ipv4interface": ipv4Form, "ipv6interface": ipv6Form(), "ipv6network": ipv6Form() + `/128`,
	"cidrv4": ipv4Form + `/(3[0-2]|[12]?\d)`, "ipv4network": ipv4Form + `/32`,
	"e164": `\+[1-9]\d{6,14}`, "nanoid": `[A-Za-z0-9_-]{21}`, "cuid2": `[0-9a-z]{24}`, "ulid": `[0-7][0-9A-HJKMNP-TV-Z]{25}`,
}

const base64Form = `([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?`

// formatsOfAnyText are the formats of which every string is, and those of numbers, which restrict no string.
var formatsOfAnyText = []string{"password", "binary", "path", "file-path", "directory-path", "float", "double", "int64", "decimal"}

func init() {
	for wide, narrow := range map[string]string{"idn-email": "email", "idn-hostname": "hostname", "iri": "uri", "iri-reference": "uri-reference", "uri-template": "uri-reference"} {
		formats[wide] = formats[narrow]
	}
	for version := range 8 {
		formats["uuid"+strconv.Itoa(version+1)] = `[0-9a-f]{8}-[0-9a-f]{4}-` + strconv.Itoa(version+1) + `[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	}
	const seconds = `\d{1,5}S`
	const minutes = `\d{1,5}M(` + seconds + `)?`
	formats["duration"] = strings.NewReplacer("TIME", `(T(\d{1,5}H(`+minutes+`)?|`+minutes+`|`+seconds+`))`).Replace(formats["duration"])
}

// ipv6Form is eight groups of hexadecimal digits, of which some may be left out in one place.
func ipv6Form() string {
	const group = `[0-9a-fA-F]{1,4}`
	forms := []string{group + `(:` + group + `){7}`, `::`}
	for before := range 8 {
		left := strings.TrimSuffix(strings.Repeat(group+":", before), ":")
		for behind := range 8 - before {
			if before+behind > 0 {
				forms = append(forms, left+"::"+strings.TrimSuffix(strings.Repeat(group+":", behind), ":"))
			}
		}
	}
	return "(" + strings.Join(forms, "|") + ")"
}
