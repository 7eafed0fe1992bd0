package tracing

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"nuthatch/internal/slowlog"
	"nuthatch/internal/version"
)

// The attributes that the semantic conventions have no name for.
const (
	poolKey   = attribute.Key("nuthatch.pool")
	serverKey = attribute.Key("nuthatch.server")
	keyKey    = attribute.Key("nuthatch.key")
	keysKey   = attribute.Key("nuthatch.keys")
	sentKey   = attribute.Key("nuthatch.request.size")
	clientKey = attribute.Key("nuthatch.client.id")
	nameKey   = attribute.Key("nuthatch.client.name")
)

const scopeName = "nuthatch"

// A batch is the spans that are sent together.
type batch struct {
	e     *Exporter
	spans []*trace.Span
}

func newBatch(e *Exporter) *batch { return &batch{e: e} }

// request is all spans, with what they come from.
func (b *batch) request() *collector.ExportTraceServiceRequest {
	about := []*common.KeyValue{
		text(semconv.ServiceNameKey, "nuthatch"), text(semconv.ServiceVersionKey, version.Version),
		number(semconv.ProcessPIDKey, os.Getpid()),
	}
	if host, err := os.Hostname(); err == nil {
		about = append(about, text(semconv.HostNameKey, host))
	}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:  &resource.Resource{Attributes: about},
		SchemaUrl: semconv.SchemaURL,
		ScopeSpans: []*trace.ScopeSpans{{
			Scope: &common.InstrumentationScope{Name: scopeName, Version: version.Version},
			Spans: b.spans, SchemaUrl: semconv.SchemaURL,
		}},
	}}}
}

// add makes the spans of a request:
//
//	SERVER  GET                       taken ─────────────────────────── reply can go
//	INTERNAL  wait for a connection   ├──────┤
//	INTERNAL  queue                          ├───┤
//	CLIENT    GET                                ├───────────┤
//	INTERNAL  wait for the turn                              ├─────────┤
func (b *batch) add(entry *slowlog.Entry) {
	operation := strings.ToUpper(entry.Command)
	system := semconv.DBSystemNameMemcached
	if b.e.o.IsRedis(entry.Pool) {
		system = semconv.DBSystemNameRedis
	}
	to := []*common.KeyValue{
		text(system.Key, system.Value.AsString()), text(semconv.DBOperationNameKey, operation), text(poolKey, entry.Pool),
	}
	if entry.ServerName != "" {
		to = append(to, text(serverKey, entry.ServerName))
		if host, port := b.e.o.Address(entry.Pool, entry.ServerName); host != "" {
			to = append(to, text(semconv.ServerAddressKey, host))
			if port != 0 {
				to = append(to, number(semconv.ServerPortKey, port))
			}
		}
	}
	root := b.span(nil, operation, trace.Span_SPAN_KIND_SERVER, entry.Time, entry.Duration)
	root.Attributes = append(b.about(entry), to...)
	at := entry.Time
	part := func(name string, kind trace.Span_SpanKind, took time.Duration) *trace.Span {
		if took <= 0 {
			return nil
		}
		s := b.span(root, name, kind, at, took)
		at = at.Add(took)
		return s
	}
	part("wait for a connection", trace.Span_SPAN_KIND_INTERNAL, entry.Connect)
	part("queue", trace.Span_SPAN_KIND_INTERNAL, entry.Queue)
	inner := part(operation, trace.Span_SPAN_KIND_CLIENT, entry.Server)
	part("wait for the turn", trace.Span_SPAN_KIND_INTERNAL, entry.Turn)
	if inner != nil {
		inner.Attributes = to
	}
	if entry.Error != "" {
		fail(root, entry.Error)
		fail(inner, entry.Error)
	}
	b.e.examples.add(entry, hex.EncodeToString(root.GetTraceId()))
}

// span adds a span; without a parent it begins a trace.
func (b *batch) span(parent *trace.Span, name string, kind trace.Span_SpanKind, at time.Time, took time.Duration) *trace.Span {
	s := &trace.Span{
		SpanId: newID(8), Name: name, Kind: kind,
		StartTimeUnixNano: nanos(at), EndTimeUnixNano: nanos(at.Add(took)),
	}
	if parent == nil {
		s.TraceId = newID(16)
	} else {
		s.TraceId, s.ParentSpanId = parent.GetTraceId(), parent.GetSpanId()
	}
	b.spans = append(b.spans, s)
	return s
}

// newID is a number that no other span has.
func newID(n int) []byte {
	id := make([]byte, n)
	_, _ = rand.Read(id) // it never fails
	return id
}

func nanos(at time.Time) uint64 { return uint64(max(0, at.UnixNano())) }

// fail notes on a span, if there is one, why its request failed.
func fail(s *trace.Span, reason string) {
	if s != nil {
		s.Attributes = append(slices.Clip(s.Attributes), text(semconv.ErrorTypeKey, reason))
		s.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: reason}
	}
}

// about are the attributes of the request and its client.
func (b *batch) about(entry *slowlog.Entry) []*common.KeyValue {
	all := []*common.KeyValue{number(sentKey, entry.RequestBytes), text(clientKey, strconv.FormatUint(entry.ClientID, 10))}
	if host, port, err := net.SplitHostPort(entry.Client); err == nil {
		all = append(all, text(semconv.ClientAddressKey, host))
		if n, err := strconv.Atoi(port); err == nil {
			all = append(all, number(semconv.ClientPortKey, n))
		}
	}
	if entry.ClientName != "" {
		all = append(all, text(nameKey, entry.ClientName))
	}
	if entry.Keys > 0 {
		all = append(all, number(keysKey, entry.Keys))
	}
	if b.e.o.Settings.Keys && entry.KeyLen > 0 {
		all = append(all, text(keyKey, entry.Key))
	}
	return all
}

func text(key attribute.Key, s string) *common.KeyValue {
	return &common.KeyValue{Key: string(key), Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(s, "?")}}}
}

func number(key attribute.Key, n int) *common.KeyValue {
	return &common.KeyValue{Key: string(key), Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(n)}}}
}
