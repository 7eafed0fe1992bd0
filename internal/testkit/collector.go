package testkit

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A Collector is an OpenTelemetry collector, which takes traces over HTTP, as compressed
// protobuf.
type Collector struct {
	URL string

	mu     sync.Mutex
	spans  []*trace.Span
	last   *http.Request
	script []http.HandlerFunc
}

// StartCollector starts a collector for the time of the test.
func StartCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = r
	if len(c.script) > 0 {
		answer := c.script[0]
		c.script = c.script[1:]
		answer(w, r)
		return
	}
	var request collector.ExportTraceServiceRequest
	zipped, err := gzip.NewReader(r.Body)
	if err == nil {
		var body []byte
		if body, err = io.ReadAll(zipped); err == nil {
			err = proto.Unmarshal(body, &request)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, of := range request.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Spans are all spans that have come.
func (c *Collector) Spans() []*trace.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*trace.Span(nil), c.spans...)
}

// Last is the last request, without its body.
func (c *Collector) Last() *http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Script has the next requests answered by these, one each.
func (c *Collector) Script(answers ...http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.script = append(c.script, answers...)
}

// Pending is how many answers of the script have not been given.
func (c *Collector) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.script)
}

// RefuseSpans answers that so many spans were refused.
func RefuseSpans(n int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, _ := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{RejectedSpans: n}})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(body)
	}
}

// AnswerStatus answers with a status, and with Retry-After if that is not empty.
func AnswerStatus(code int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
	}
}
