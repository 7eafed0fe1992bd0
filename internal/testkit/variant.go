package testkit

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// variantEnv names the variant in which nuthatch is started; empty: as its
// configuration says.
const variantEnv = "NUTHATCH_VARIANT"

// A variant is a set of settings with which all tests must pass too. They are
// added to those under `nuthatch:`, unless a test has its own.
//
// `make matrix` runs integration and faults (test/integration) once for each. Conversations and
// transcripts make their own loops: internal/proxy has tests that run them with TLS on both sides.
var variants = map[string]map[string]string{
	"threads":  {"threads": "4"},
	"io_uring": {"engine": "io_uring"},
	// The pools speak TLS on both sides, with one thread more for the handshakes.
	tlsVariant: {},
}

// Vary adds the settings of the chosen variant to a configuration that a running nuthatch
// is to read. Nothing changes without a variant.
func Vary(t testing.TB, yaml string) string {
	t.Helper()
	return vary(t, yaml)
}

// vary adds the settings of the chosen variant to a configuration.
func vary(t testing.TB, yaml string) string {
	t.Helper()
	name := os.Getenv(variantEnv)
	if name == "" {
		return yaml
	}
	settings, ok := variants[name]
	if !ok {
		t.Fatalf("%s=%s: there is no such variant; there are %v", variantEnv, name, slices.Sorted(maps.Keys(variants)))
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		yaml = withSetting(yaml, key, settings[key])
	}
	if name == tlsVariant {
		yaml = withTLS(t, yaml)
	}
	return yaml
}

// withSetting adds a setting of the process, unless it is there.
func withSetting(yaml, key, value string) string {
	const head = "nuthatch:\n"
	line := "  " + key + ": " + value + "\n"
	switch at := strings.Index("\n"+yaml, "\n"+head); {
	case strings.Contains(yaml, " "+key+":") || strings.Contains(yaml, "{"+key+":"):
		return yaml
	case at >= 0:
		return yaml[:at] + head + line + yaml[at+len(head):]
	case strings.Contains("\n"+yaml, "\nnuthatch:"): // in one line
		return yaml
	}
	return yaml + "\n" + head + line
}
