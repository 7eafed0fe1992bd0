package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"nuthatch/internal/config"
	"nuthatch/internal/version"
)

// The types of bodies, by the protocol.
const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

const (
	// maxAnswer is how much is read of what a collector answers.
	maxAnswer = 64 << 10
	// tryTimeout is how long one try may take.
	tryTimeout = 5 * time.Second
)

// A sender sends requests to one collector, as OTLP's specification says: again after a
// while if the collector is busy or cannot be reached.
type sender struct {
	url    string
	json   bool
	header http.Header
	client *http.Client
}

// newSender makes a sender. It connects only when there is something to send.
func newSender(s *config.Tracing) (*sender, error) {
	header, err := s.AllHeaders()
	if err != nil {
		return nil, fmt.Errorf("tracing.headers: %w", err)
	}
	json := s.Protocol == config.TracesJSON
	header.Set("Content-Type", typeProtobuf)
	if json {
		header.Set("Content-Type", typeJSON)
	}
	header.Set("Content-Encoding", "gzip")
	header.Set("User-Agent", "nuthatch/"+version.Version)
	transport, _ := http.DefaultTransport.(*http.Transport)
	return &sender{
		url: tracesURL(s.Endpoint), json: json, header: header,
		client: &http.Client{
			Transport: transport.Clone(), Timeout: tryTimeout,
			// The headers are for the endpoint alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// tracesURL is the URL of an endpoint with the path of traces, if it has none.
func tracesURL(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && strings.Trim(u.Path, "/") == "" {
		return u.JoinPath("v1", "traces").String()
	}
	return endpoint
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// send sends a request until the collector has it, refuses it, or ctx ends. It returns how
// many of its spans were refused.
func (s *sender) send(ctx context.Context, request *collector.ExportTraceServiceRequest) (refused int64, err error) {
	text, err := s.encode(request)
	if err != nil {
		return 0, err
	}
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	_, err = zip.Write(text)
	if err := errors.Join(err, zip.Close()); err != nil {
		return 0, err
	}
	var last error // says more than that the time is over
	refused, err = backoff.Retry(ctx, func() (int64, error) {
		n, err := s.try(ctx, body.Bytes())
		if err != nil && (last == nil || ctx.Err() == nil) {
			last = err
		}
		return n, err
	}, backoff.WithMaxElapsedTime(sendTimeout))
	if err != nil {
		return 0, last
	}
	return refused, nil
}

// try sends a body once. An error that is not permanent may go away.
func (s *sender) try(ctx context.Context, body []byte) (refused int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, backoff.Permanent(err)
	}
	request.Header = s.header.Clone()
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return refusedOf(response.Header, answer), nil // what was not read of the answer matters to nobody
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if after, none := strconv.Atoi(response.Header.Get("Retry-After")); none == nil && after > 0 {
			return 0, fmt.Errorf("%s: %w", response.Status, backoff.RetryAfter(after))
		}
		return 0, errors.Join(errors.New(response.Status), err)
	}
	return 0, backoff.Permanent(errors.New(response.Status))
}

// refusedOf is how many spans a collector that took a request did not take.
func refusedOf(header http.Header, answer []byte) int64 {
	var said collector.ExportTraceServiceResponse
	decode := proto.Unmarshal
	if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind == typeJSON {
		decode = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal
	}
	if decode(answer, &said) != nil {
		return 0
	}
	return max(0, said.GetPartialSuccess().GetRejectedSpans())
}

// encode is a request as its protocol has it.
func (s *sender) encode(request *collector.ExportTraceServiceRequest) ([]byte, error) {
	if !s.json {
		return proto.Marshal(request)
	}
	// OTLP has the numbers of traces and spans in hexadecimal, protobuf's JSON has bytes in
	// base 64: these are the bytes that look so.
	hexadecimal := func(id []byte) []byte {
		looks, _ := base64.StdEncoding.DecodeString(hex.EncodeToString(id)) // each hexadecimal digit is one of base 64
		return looks
	}
	for _, of := range request.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				span.TraceId, span.SpanId, span.ParentSpanId = hexadecimal(span.GetTraceId()), hexadecimal(span.GetSpanId()), hexadecimal(span.GetParentSpanId())
			}
		}
	}
	return protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(request)
}
