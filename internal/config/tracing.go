package config

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Tracing is how requests become OpenTelemetry traces.
type Tracing struct {
	// Endpoint is the URL of the collector, or "off".
	Endpoint string
	// Protocol is TracesProtobuf or TracesJSON.
	Protocol string
	// Headers are what the file has of AllHeaders, and FileHeaders and EnvHeaders what comes
	// from HeadersFrom, which may be both.
	Headers, FileHeaders, EnvHeaders Secret
	HeadersFrom                      SecretSource
	// Sample: one request in so many becomes a trace; 0: none does.
	Sample int
	// Slow: so does every request that is slow enough for the slow log.
	Slow bool
	// Keys: a trace has the key that the slow log has.
	Keys bool
}

// On reports whether there are traces.
func (t *Tracing) On() bool { return t.Endpoint != "" && t.Endpoint != adminOff }

var kindURL = kind{form: "URL or off", text: true, parse: parseURL, schema: textOf(adminOff + `|https?://.+`)}

// parseURL reads "off", or a URL without a user: a password would be shown.
func parseURL(_ limits, text string) (value, error) {
	if text == adminOff {
		return value{text: text}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return value{}, errors.New("expected a URL such as http://127.0.0.1:4318, without user and query, or off")
	}
	return value{text: text}, nil
}

// The protocols, by OpenTelemetry's names.
const (
	TracesProtobuf = "http/protobuf"
	TracesJSON     = "http/json"
)

var kindTraceProtocol = kind{form: "protocol", parse: parseTraceProtocol, schema: textOf(TracesProtobuf + `|` + TracesJSON)}

func parseTraceProtocol(_ limits, text string) (value, error) {
	switch text {
	case TracesProtobuf, TracesJSON:
		return value{text: text}, nil
	case "grpc":
		return value{}, errors.New("grpc is not supported: collectors take " + TracesProtobuf + " too, most at port 4318")
	}
	return value{}, errors.New("expected " + TracesProtobuf + " or " + TracesJSON + ", found " + quote(text))
}

// kindOneIn is how many things there are for each that is taken.
var kindOneIn = kind{form: "number", parse: parseOneIn, span: numberSpan, schema: numberSchema}

// parseOneIn reads a whole number. Others write a share, as in 0.1 or 10%.
func parseOneIn(r limits, text string) (value, error) {
	v, err := parseNumber(r, text)
	if err == nil {
		return v, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	share, none := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if percent {
		share /= 100
	}
	if n := math.Round(1 / share); none == nil && share > 0 && share <= 1 && n <= float64(r.max) {
		return v, fmt.Errorf("expected one in how many, and no share, found %s; write %.0f", quote(text), n)
	}
	return v, err
}

var errHeaders = errors.New("expected name=value, with a comma between two headers; a space in a value is %20")

// AllHeaders are the headers that each request to the collector has. Their form is that of
// OTEL_EXPORTER_OTLP_HEADERS: name=value, separated by commas, each percent-encoded where it
// needs to be.
func (t *Tracing) AllHeaders() (http.Header, error) {
	all := make(http.Header)
	for _, s := range []Secret{t.Headers, t.FileHeaders, t.EnvHeaders} {
		for pair := range strings.SplitSeq(s.Reveal(), ",") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			name, text, ok := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			text, err := url.PathUnescape(strings.TrimSpace(text))
			if !ok || err != nil || !headerName.MatchString(name) || strings.ContainsFunc(text, unicode.IsControl) {
				return nil, errHeaders
			}
			all.Set(name, text)
		}
	}
	return all, nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

var tracingKeys = slices.Concat([]key[Tracing]{
	{
		name: "endpoint", kind: kindURL, def: adminOff, defNote: "there are no traces", origin: fromNuthatch,
		help: "The URL of an OpenTelemetry collector that takes OTLP over HTTP: `http://127.0.0.1:4318`. Traces go to " +
			"the path `/v1/traces`, unless the URL has a path. `https` trusts the system's certificate authorities, or those of " +
			"the variable `SSL_CERT_FILE`. See [OPERATIONS.md](OPERATIONS.md#traces).",
		set: func(t *Tracing, v value) { t.Endpoint = v.text },
	},
	{
		name: "protocol", kind: kindTraceProtocol, def: TracesProtobuf, origin: fromNuthatch,
		help: "The form of what the collector gets: OTLP over HTTP as protobuf (`http/protobuf`) or as JSON (`http/json`), " +
			"compressed with gzip. There is no `grpc`: collectors take HTTP beside it, most at port 4318.",
		set: func(t *Tracing, v value) { t.Protocol = v.text },
	},
	{
		name: "headers", kind: kindSecret, defNote: "none", origin: fromNuthatch,
		help: "Headers for the collector, such as a token, in the form of OpenTelemetry's `OTEL_EXPORTER_OTLP_HEADERS`: " +
			"`Authorization=Bearer%20TOKEN`, with a comma between two. They are never shown. Those of `headers_file` and `headers_env` are sent too, and " +
			"replace headers of the same name.",
		set: func(t *Tracing, v value) { t.Headers = Secret(v.text) },
	},
}, twins("headers", "", func(t *Tracing) *SecretSource { return &t.HeadersFrom }), []key[Tracing]{
	{
		name: "sample", kind: kindOneIn, limits: limits{0, 1 << 30}, def: "1000", origin: fromNuthatch,
		help: "One request in so many becomes a trace; `1`: each, `10`: a tenth of them, `0`: none. Of requests with one command that are taken " +
			"together and answered together, at most one is sampled, unless it is `1`: all have the same times.",
		set: func(t *Tracing, v value) { t.Sample = int(v.number) },
	},
	{
		name: "slow", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Requests that take at least `slowlog_slower_than` become traces, too.",
		set:  func(t *Tracing, v value) { t.Slow = v.flag },
	},
	{
		name: "keys", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "A trace has the beginning of the request's first key, if `slowlog_keys` is `true` as well. Values are never in traces.",
		set:  func(t *Tracing, v value) { t.Keys = v.flag },
	},
})

// checkTracing finds headers without form, and warns of traces that nobody gets.
func (r *reader) checkTracing(b *block, t *Tracing) {
	at, given := b.seen["tracing"]
	if _, set := b.seen["tracing.endpoint"]; given && !at.faulty && !set {
		r.warn(at.name, b, "tracing", "there are no traces without 'endpoint', such as endpoint: http://127.0.0.1:4318")
	}
	if _, err := t.AllHeaders(); err != nil {
		r.fault(b.seen["tracing.headers"].name, b, "tracing.headers", err.Error())
	}
}

// sourcedSecrets are the secrets of the process that come from elsewhere.
func (p *Process) sourcedSecrets() []sourcedSecret {
	t := &p.Tracing
	return []sourcedSecret{
		{"tracing.headers", &t.FileHeaders, SecretSource{File: t.HeadersFrom.File}},
		{"tracing.headers", &t.EnvHeaders, SecretSource{Env: t.HeadersFrom.Env}},
	}
}
