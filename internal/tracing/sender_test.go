package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"nuthatch/internal/config"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/testkit"
)

// newExporter is an exporter that is not started, of a pool that speaks Redis.
func newExporter(t *testing.T, s config.Tracing) *Exporter {
	t.Helper()
	send, err := newSender(&s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(send.close)
	return &Exporter{
		o: Options{
			Settings: s, Ring: slowlog.New(RingLen),
			IsRedis: func(pool string) bool { return pool == "alpha" },
			Address: func(_, server string) (string, int) { return server + ".example", 6379 },
		},
		counts: new(Counts), examples: new(Examples), sender: send,
	}
}

// entry is a request whose time has all parts.
func entry() *slowlog.Entry {
	return &slowlog.Entry{
		Time: time.UnixMilli(1_700_000_000_000), Duration: 10 * time.Millisecond,
		Connect: time.Millisecond, Queue: 2 * time.Millisecond, Server: 3 * time.Millisecond, Turn: 4 * time.Millisecond,
		Pool: "alpha", Command: "get", ServerName: "one", Key: "k\xff", KeyLen: 2, Client: "10.0.0.1:5000", ClientID: 7, ClientName: "web",
	}
}

// TestSpans: a request is a span, with one for each part of its time, one after another.
func TestSpans(t *testing.T) {
	b := newBatch(newExporter(t, config.Tracing{Keys: true}))
	b.add(entry())
	var got []string
	for _, s := range b.spans {
		from := time.Duration(s.GetStartTimeUnixNano()) - time.Duration(b.spans[0].GetStartTimeUnixNano())
		got = append(got, fmt.Sprintf("%s %s %v+%v", strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"), s.GetName(), from,
			time.Duration(s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano())))
		if s != b.spans[0] && !bytes.Equal(s.GetParentSpanId(), b.spans[0].GetSpanId()) || !bytes.Equal(s.GetTraceId(), b.spans[0].GetTraceId()) {
			t.Errorf("%s is not within the first", s.GetName())
		}
	}
	const want = "SERVER GET 0s+10ms|INTERNAL wait for a connection 0s+1ms|INTERNAL queue 1ms+2ms|CLIENT GET 3ms+3ms|INTERNAL wait for the turn 6ms+4ms"
	if strings.Join(got, "|") != want {
		t.Errorf("%s, want %s", strings.Join(got, "|"), want)
	}
	const attributes = "nuthatch.request.size=0 nuthatch.client.id=7 client.address=10.0.0.1 client.port=5000 nuthatch.client.name=web nuthatch.key=k? " +
		"db.system.name=redis db.operation.name=GET nuthatch.pool=alpha nuthatch.server=one server.address=one.example server.port=6379"
	if all := attributesOf(b.spans[0]); all != attributes {
		t.Errorf("attributes %s, want %s", all, attributes)
	}
	failed := entry()
	failed.Pool, failed.Error, failed.Server = "beta", "timed_out", 0
	b.add(failed)
	if s := b.spans[5]; s.GetStatus().GetCode() != trace.Status_STATUS_CODE_ERROR || !strings.HasSuffix(attributesOf(s), "error.type=timed_out") ||
		!strings.Contains(attributesOf(s), "db.system.name=memcached") {
		t.Errorf("a failure is %v", s)
	}
	if bytes.Equal(b.spans[5].GetTraceId(), b.spans[0].GetTraceId()) {
		t.Error("two requests have one trace")
	}
}

func attributesOf(s *trace.Span) string {
	var all []string
	for _, a := range s.GetAttributes() {
		text := a.GetValue().GetStringValue()
		if n := a.GetValue().GetIntValue(); n != 0 || text == "" {
			text = fmt.Sprint(n)
		}
		all = append(all, a.GetKey()+"="+text)
	}
	return strings.Join(all, " ")
}

// TestSend: a busy collector is asked again, after the time that it says; one that refuses
// is not, nor is another that it names. What did not arrive is counted.
func TestSend(t *testing.T) {
	c := testkit.StartCollector(t)
	for _, tt := range []struct {
		name             string
		script           []http.HandlerFunc
		exported, failed int64
		asked            int
		least            time.Duration
	}{
		{name: "taken", exported: 1, asked: 1},
		{name: "busy", script: []http.HandlerFunc{testkit.AnswerStatus(503, "1"), testkit.AnswerStatus(429, "")}, exported: 1, asked: 3, least: time.Second},
		{name: "refused", script: []http.HandlerFunc{testkit.AnswerStatus(400, "")}, failed: 1, asked: 1},
		{name: "sent elsewhere", script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, c.URL+"/elsewhere", http.StatusTemporaryRedirect)
		}}, failed: 1, asked: 1},
		{name: "refused in part", script: []http.HandlerFunc{testkit.RefuseSpans(1)}, failed: 1, asked: 1},
		{name: "busy for too long", script: []http.HandlerFunc{testkit.AnswerStatus(503, "3600")}, failed: 1, asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			for i, answer := range tt.script {
				tt.script[i] = func(w http.ResponseWriter, r *http.Request) { asked++; answer(w, r) }
			}
			c.Script(tt.script...)
			before := len(c.Spans())
			e := newExporter(t, config.Tracing{Endpoint: c.URL, Headers: "X-Token=a%20b"})
			e.o.Ring.Add(entry())
			start := time.Now()
			e.send(context.Background(), sendTimeout)
			if len(c.Spans()) > before {
				asked++
			}
			if e.counts.Exported.Load() != tt.exported || e.counts.Failed.Load() != tt.failed || asked != tt.asked || time.Since(start) < tt.least {
				t.Errorf("exported %d, failed %d, asked %d times in %v", e.counts.Exported.Load(), e.counts.Failed.Load(), asked, time.Since(start))
			}
			if c.Last().URL.Path != "/v1/traces" || c.Last().Header.Get("X-Token") != "a b" {
				t.Errorf("asked for %s with %v", c.Last().URL, c.Last().Header)
			}
		})
	}
}

// TestMissed: what came faster than it was sent is counted.
func TestMissed(t *testing.T) {
	c := testkit.StartCollector(t)
	e := newExporter(t, config.Tracing{Endpoint: c.URL})
	for range RingLen + 3 {
		e.o.Ring.Add(entry())
	}
	e.send(context.Background(), sendTimeout)
	if e.counts.Exported.Load() != RingLen || e.counts.Overwritten.Load() != 3 {
		t.Errorf("%d exported, %d overwritten", e.counts.Exported.Load(), e.counts.Overwritten.Load())
	}
}

// TestJSON: numbers of traces are in hexadecimal, as OTLP has them.
func TestJSON(t *testing.T) {
	c := testkit.StartCollector(t)
	var got struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID string
					Kind                          int
				}
			}
		}
	}
	c.Script(func(w http.ResponseWriter, r *http.Request) {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(zipped)
		if err := json.Unmarshal(body, &got); err != nil || r.Header.Get("Content-Type") != typeJSON {
			t.Errorf("%v: %s: %s", err, r.Header.Get("Content-Type"), body)
		}
		w.Header().Set("Content-Type", typeJSON+"; charset=utf-8")
		_, _ = io.WriteString(w, `{"partialSuccess": {"rejectedSpans": "1"}}`)
	})
	e := newExporter(t, config.Tracing{Endpoint: c.URL + "/own", Protocol: config.TracesJSON})
	e.o.Ring.Add(entry())
	e.send(context.Background(), sendTimeout)
	var id string
	for of := range e.examples.All {
		id = e.examples.all[of].TraceID
	}
	spans := got.ResourceSpans[0].ScopeSpans[0].Spans
	if len(spans) != 5 || spans[0].TraceID != id || len(spans[0].SpanID) != 16 || spans[1].ParentSpanID != spans[0].SpanID || spans[0].Kind != int(trace.Span_SPAN_KIND_SERVER) {
		t.Errorf("spans of trace %s: %+v", id, spans)
	}
	if e.counts.Failed.Load() != 1 {
		t.Error("the refused span is not counted")
	}
}
