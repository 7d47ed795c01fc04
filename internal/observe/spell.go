package observe

import (
	"net/netip"
	"strings"

	"tocsin/internal/match"
)

// spell puts a property's value into the one spelling in which lines and
// patterns are compared: addresses, names, URLs and hashes as the matching
// engine has them, and what Windows does not tell apart by letter case in lower
// case. The key is the last of the property's path, kind the object's type, ""
// where only a reference leads.
func spell(kind, key, text string) string {
	switch key {
	case "value":
		return spellValue(kind, text)
	case "name":
		if kind == "software" {
			return text
		}
		return strings.ToLower(text)
	case "path":
		text = strings.ToLower(text)
		if cut := strings.TrimRight(text, `\/`); cut != "" && !strings.HasSuffix(cut, ":") {
			return cut
		}
		return text
	case "key":
		return spellKey(text)
	case "Host", "MD5", "SHA-1", "SHA-256", "SHA-512", "serial_number":
		return strings.ToLower(text)
	}
	return text
}

// folds reports whether spell leaves letter case out of account, so that LIKE
// and MATCHES have to as well.
func folds(kind, key string) bool {
	switch key {
	case "name":
		return kind != "software"
	case "value":
		return kind != "url"
	case "path", "key", "Host", "MD5", "SHA-1", "SHA-256", "SHA-512", "serial_number":
		return true
	}
	return false
}

func spellValue(kind, text string) string {
	kinds := []match.Kind{match.Address, match.Domain, match.Email}
	switch kind {
	case "url":
		kinds = []match.Kind{match.URL}
	case "email-addr":
		kinds = []match.Kind{match.Email}
	case "domain-name":
		kinds = []match.Kind{match.Domain}
	}
	for _, k := range kinds {
		if v, ok := match.Parse(k, text); ok {
			return v.Text()
		}
	}
	if kind == "url" {
		return text
	}
	return strings.ToLower(text)
}

// hives returns the names of the registry's parts as logs write them, and as
// STIX wants them (STIX 2.1 §6.17).
func hives() [][2]string {
	return [][2]string{
		{`\registry\machine`, "hkey_local_machine"},
		{`\registry\user`, "hkey_users"},
		{"hklm", "hkey_local_machine"},
		{"hkcu", "hkey_current_user"},
		{"hkcr", "hkey_classes_root"},
		{"hku", "hkey_users"},
		{"hkcc", "hkey_current_config"},
	}
}

func spellKey(text string) string {
	text = strings.TrimRight(strings.ToLower(text), `\`)
	for _, h := range hives() {
		if rest, ok := strings.CutPrefix(text, h[0]); ok && (rest == "" || rest[0] == '\\') {
			return h[1] + rest
		}
	}
	return text
}

// typeOf returns the type of the object that an address or a name is.
func typeOf(text string) string {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return "domain-name"
	case a.Unmap().Is4():
		return "ipv4-addr"
	}
	return "ipv6-addr"
}
