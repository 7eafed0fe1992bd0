package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/hashkit"
)

// value is what a kind reads from a text. Each kind sets its own field.
type value struct {
	text         string
	number       int64
	flag         bool
	address      Address
	server       Server
	hash         hashkit.Hash
	distribution hashkit.Distribution
}

// limits is a closed range of numbers.
type limits struct{ min, max int64 }

// kind is a way of writing a value.
type kind struct {
	// form is the way in words, for the documentation.
	form string
	// example is a value for messages; may be empty.
	example string
	// list is true if the value is a list of texts, each read by itself, and written as
	// entry says. isSetting: it is shown among the settings, as other keys.
	list      bool
	entry     string
	isSetting bool
	// many is true if the value may be a list of texts, which stands for one text with commas
	// between them.
	many bool
	// words are the values of a kind that has a fixed set, in the order of their
	// numbers; nil otherwise.
	words []string
	// text is true if the value may have characters with a meaning in YAML.
	text bool
	// secret is true if no message may show the value.
	secret bool
	// parse reads one text, which is not empty. Its error says what was
	// expected and found.
	parse func(r limits, text string) (value, error)
	// span describes limits in the documentation; nil if the kind has none.
	span func(r limits) string
	// schema is the JSON Schema of one value.
	schema func(r limits) object
}

var (
	kindListen       = kind{form: "address", text: true, parse: parseListenValue, schema: textOf(listenPattern)}
	kindHash         = kind{form: "name of a hash", parse: parseHash, schema: hashSchema}
	kindDistribution = kind{form: "name of a distribution", parse: parseDistribution, schema: distributionSchema}
	kindHashTag      = kind{form: "two characters", example: `"{}"`, text: true, parse: parseHashTag, schema: hashTagSchema}
	kindMillis       = kind{form: "duration or milliseconds", parse: parseMillis, span: millisSpan, schema: millisSchema}
	kindNumber       = kind{form: "number", parse: parseNumber, span: numberSpan, schema: numberSchema}
	kindSize         = kind{form: "size", parse: parseSize, span: sizeSpan, schema: sizeSchema}
	kindBool         = kind{form: "true or false", parse: parseBool, schema: boolSchema}
	kindProtocol     = kind{form: kindBool.form, words: protocolWords, parse: parseProtocol, schema: boolSchema}
	kindSecret       = kind{form: "text", text: true, secret: true, parse: parseSecret, schema: secretSchema}
	kindUnknown      = oneOf("unknown_commands", unknownNames)
	kindPartial      = oneOf("partial_results", partialNames)
	kindKeyless      = oneOf("keyless_scripts", keylessNames)
	kindRetry        = oneOf("retry", retryNames)
	kindFailedSelect = oneOf("failed_select", failedSelectNames)
	kindAuthMode     = oneOf("auth_mode", authModeNames)
	kindTransactions = oneOf("transactions", transactionsNames)
	kindPublish      = oneOf("publish", publishNames)
	kindLoss         = oneOf("on_loss", lossNames)
	kindConnections  = oneOf("connections", connectionsNames)
	kindTracking     = oneOf("tracking", trackingNames)
	kindEject        = oneOf("eject", ejectNames)
	kindReadOnly     = oneOf("on_readonly", readOnlyNames)
	kindServers      = kind{form: "list of servers", list: true, entry: serverForm, parse: parseServerValue, schema: textOf(serverPattern)}
)

func parseListenValue(_ limits, text string) (value, error) {
	a, err := ParseListen(text)
	return value{address: a}, err
}

func parseServerValue(_ limits, text string) (value, error) {
	s, err := ParseServer(text)
	return value{server: s}, err
}

func parseSecret(_ limits, text string) (value, error) {
	return value{text: text}, nil
}

func parseHash(_ limits, text string) (value, error) {
	h, ok := hashkit.ParseHash(text)
	if !ok {
		return value{}, unknownName("hash", text, hashkit.HashNames())
	}
	return value{hash: h}, nil
}

func parseDistribution(_ limits, text string) (value, error) {
	d, ok := hashkit.ParseDistribution(text)
	if !ok {
		return value{}, unknownName("distribution", text, hashkit.DistributionNames())
	}
	return value{distribution: d}, nil
}

// oneOf is the kind of a key that has one of these words, whose places are their
// numbers.
func oneOf(key string, words []string) kind {
	last := len(words) - 1
	return kind{
		form:  strings.Join(words[:last], ", ") + " or " + words[last],
		words: words, schema: wordsOf(words),
		parse: func(_ limits, text string) (value, error) {
			i := slices.Index(words, text)
			if i < 0 {
				return value{}, unknownName(key, text, words)
			}
			return value{number: int64(i)}, nil
		},
	}
}

func unknownName(what, text string, names []string) error {
	return fmt.Errorf("unknown %s %s, expected one of %s%s",
		what, quote(text), strings.Join(names, ", "), didYouMean(text, names))
}

// parseHashTag counts bytes, as nutcracker does.
func parseHashTag(_ limits, text string) (value, error) {
	if len(text) != 2 {
		return value{}, errors.New(`expected exactly two characters, such as "{}", found ` + quote(text))
	}
	return value{text: text}, nil
}

func parseBool(_ limits, text string) (value, error) {
	switch text {
	case "true":
		return value{flag: true}, nil
	case "false":
		return value{flag: false}, nil
	}
	hint := ""
	switch strings.ToLower(text) {
	case "true", "yes", "y", "on", "1", "enabled", "enable":
		hint = "; write true"
	case "false", "no", "n", "off", "0", "disabled", "disable", "none":
		hint = "; write false"
	}
	return value{}, errors.New("expected true or false, found " + quote(text) + hint)
}

func parseNumber(r limits, text string) (value, error) {
	n, ok := parseDigits(text)
	if !ok || n < r.min || n > r.max {
		hint := ""
		if !ok {
			hint = write(numberForm(text), text, parseNumber, r)
		}
		return value{}, fmt.Errorf("expected a whole number from %d to %d, found %s%s", r.min, r.max, quote(text), hint)
	}
	return value{number: n}, nil
}

// numberSpan describes limits. nutcracker uses the largest int of C for no
// limit.
func numberSpan(r limits) string {
	if r.max == math.MaxInt32 {
		return fmt.Sprintf("%d or more", r.min)
	}
	return fmt.Sprintf("%d to %d", r.min, r.max)
}

const (
	kb = 1 << 10
	mb = 1 << 20
	gb = 1 << 30
	tb = 1 << 40
)

// sizeUnits are tried in this order: "b" ends all of them.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"kb", kb}, {"mb", mb}, {"gb", gb}, {"b", 1}, {"", 1}}

// parseSize reads a number of bytes with Redis's units: kb, mb and gb are
// powers of 1024, and upper case is lower case.
func parseSize(r limits, text string) (value, error) {
	lowered := strings.ToLower(text)
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(lowered, unit.name)
		if !ok {
			continue
		}
		n, ok := parseDigits(digits)
		if ok && n <= r.max/unit.bytes && n*unit.bytes >= r.min {
			return value{number: n * unit.bytes}, nil
		}
		break
	}
	return value{}, errors.New("expected a size from " + sizeSpan(r) + ", such as 64mb, found " + quote(text) + write(sizeForm(text), text, parseSize, r))
}

func sizeSpan(r limits) string { return formatSize(r.min) + " to " + formatSize(r.max) }

// formatSize writes a size with the largest unit that divides it.
func formatSize(n int64) string {
	switch {
	case n == 0:
		return "0"
	case n%gb == 0:
		return strconv.FormatInt(n/gb, 10) + "gb"
	case n%mb == 0:
		return strconv.FormatInt(n/mb, 10) + "mb"
	case n%kb == 0:
		return strconv.FormatInt(n/kb, 10) + "kb"
	}
	return strconv.FormatInt(n, 10)
}
