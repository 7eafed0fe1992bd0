package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// attributes are those of a span, as texts.
func attributes(s *tracepb.Span) map[string]string {
	all := make(map[string]string)
	for _, a := range s.GetAttributes() {
		all[a.GetKey()] = strings.Trim(strings.SplitN(a.GetValue().String(), ":", 2)[1], `"`)
	}
	return all
}

// checkTrace checks the spans of a SET, and returns that of the proxy.
func checkTrace(t *testing.T, spans []*tracepb.Span, server string) *tracepb.Span {
	t.Helper()
	var root, inner *tracepb.Span
	for _, s := range spans {
		if strings.Contains(s.String(), "s3cret") || strings.Contains(s.String(), "v4lue") {
			t.Errorf("a span has a key or a value: %v", s)
		}
		if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER {
			root = s
		}
		if s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
			inner = s
		}
	}
	if root == nil || inner == nil {
		t.Fatalf("the spans are %v", spans)
	}
	if !bytes.Equal(inner.GetParentSpanId(), root.GetSpanId()) || !bytes.Equal(inner.GetTraceId(), root.GetTraceId()) || root.GetName() != "SET" || inner.GetName() != "SET" {
		t.Errorf("the server's span is not in that of the proxy: %v, %v", root, inner)
	}
	if root.GetStartTimeUnixNano() > inner.GetStartTimeUnixNano() || root.GetEndTimeUnixNano() < inner.GetEndTimeUnixNano() {
		t.Errorf("the server's time is not within that of the proxy: %v, %v", root, inner)
	}
	got := attributes(inner)
	host, port, _ := strings.Cut(server, ":")
	if got["db.system.name"] != "redis" || got["db.operation.name"] != "SET" || got["server.address"] != host || got["server.port"] != port || got["nuthatch.pool"] != "alpha" {
		t.Errorf("the server's span has %v", got)
	}
	if got := attributes(root); got["client.address"] != "127.0.0.1" || got["client.port"] == "" {
		t.Errorf("the proxy's span has %v", got)
	}
	return root
}

// TestTraces: requests become traces at a collector, by the conventions, without keys; a
// reload ends and begins them; what cannot be sent is counted.
func TestTraces(t *testing.T) {
	server := testkit.StartRedis(t)
	collector := testkit.StartCollector(t)
	listen := testkit.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "n.yml")
	write := func(tracing string) *config.Config {
		t.Helper()
		text := pool("alpha", listen, testkit.Names(server), "timeout: 5s", "hash_tag: \"{}\"") + "nuthatch:\n  slowlog_keys: true\n" + tracing
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return conf
	}
	const on = "  tracing: {endpoint: '%s', sample: 1}\n"
	in, err := Start(Options{Config: write(fmt.Sprintf(on, collector.URL)), ConfigFile: file, LogFile: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	client := testkit.Dial(t, testkit.Redis, listen)
	client.Do("SET", "s3cret", "v4lue")
	spans := awaitSpans(t, collector, 2)
	if collector.Last().URL.Path != "/v1/traces" {
		t.Errorf("spans were sent to %s", collector.Last().URL.Path)
	}
	root := checkTrace(t, spans, server.Addr())
	testkit.Await(t, "the count and an example", func() error {
		if got := in.Traces(); got.Exported == 0 || len(got.Examples) == 0 || got.Examples[0].TraceID != fmt.Sprintf("%x", root.GetTraceId()) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})

	checkTracesReload(t, in, client, collector, func(tracing string) {
		t.Helper()
		write(tracing)
		if _, err := in.Reload("test"); err != nil {
			t.Fatal(err)
		}
	})
}

// checkTracesReload turns traces off and on again, and has the collector refuse them.
func checkTracesReload(t *testing.T, in *Instance, client *testkit.Client, collector *testkit.Collector, reload func(tracing string)) {
	t.Helper()
	reload("")
	before := len(collector.Spans())
	client.Do("SET", "s3cret", "v4lue")
	if len(in.Traces().Examples) > 0 || in.traces.exporter != nil {
		t.Errorf("traces are off, and there is %+v", in.Traces())
	}
	reload(fmt.Sprintf("  tracing: {endpoint: '%s', sample: 1, keys: true}\n", collector.URL+"/own/path"))
	client.Do("GET", "s3cret")
	spans := awaitSpans(t, collector, before+2)[before:]
	if attributes(spans[len(spans)-1])["db.operation.name"] != "GET" || collector.Last().URL.Path != "/own/path" || !strings.Contains(fmt.Sprint(spans), "s3cret") {
		t.Errorf("at %s: %v, want GET alone, with its key", collector.Last().URL.Path, spans)
	}
	collector.Script(testkit.AnswerStatus(http.StatusBadRequest, ""))
	client.Do("GET", "s3cret")
	testkit.Await(t, "the failure to be counted", func() error {
		if in.Traces().Failed == 0 {
			return errors.New("none has failed")
		}
		return nil
	})
}

// awaitSpans waits for so many spans, and returns all.
func awaitSpans(t *testing.T, collector *testkit.Collector, least int) []*tracepb.Span {
	t.Helper()
	testkit.Await(t, "spans", func() error {
		if n := len(collector.Spans()); n < least {
			return fmt.Errorf("%d spans", n)
		}
		return nil
	})
	return collector.Spans()
}
