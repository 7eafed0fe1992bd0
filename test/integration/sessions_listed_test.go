package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

var errListed = errors.New("the client is listed otherwise")

// sessionFields are the words of CLIENT LIST about a client's session. The server here has
// no `watch`.
var sessionFields = []string{"flags", "sub", "psub", "ssub", "multi", "resp"}

// listedAs is how a client is listed: the words about its session, and `watch`.
func listedAs(asks *testkit.Client, id string) (session []string, watch string) {
	for word := range strings.FieldsSeq(asks.Do("CLIENT", "LIST", "ID", id)) {
		name, value, _ := strings.Cut(word, "=")
		if slices.Contains(sessionFields, name) {
			session = append(session, word)
		}
		if name == "watch" {
			watch = value
		}
	}
	return session, watch
}

// CLIENT LIST says of clients in transactions, that watch, wait, listen, monitor or are told of
// keys what redis-server says.
func TestSessionsAreListed(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"allow_monitor: true"})
	type ask = []string
	for _, tt := range []struct {
		name  string
		says  []ask
		watch string
	}{
		{"nothing", nil, "0"},
		{"in a transaction", []ask{{"MULTI"}, {"SET", "k", "v"}, {"GET", "k"}}, "0"},
		{"in an empty transaction", []ask{{"MULTI"}}, "0"},
		{"behind EXEC", []ask{{"MULTI"}, {"GET", "k"}, {"EXEC"}}, "0"},
		{"watches", []ask{{"WATCH", "k", "l"}, {"WATCH", "m"}}, "3"},
		{"watches no more", []ask{{"WATCH", "k"}, {"UNWATCH"}}, "0"},
		{"watches, in a transaction", []ask{{"WATCH", "k"}, {"MULTI"}, {"GET", "k"}}, "1"},
		{"waits", []ask{{"BLPOP", "q", "0"}}, "0"},
		{"listens", []ask{{"SUBSCRIBE", "a", "b"}, {"PSUBSCRIBE", "c*"}}, "0"},
		{"listens to shard channels", []ask{{"SSUBSCRIBE", "a"}}, "0"},
		{"listens no more", []ask{{"SUBSCRIBE", "a"}, {"UNSUBSCRIBE"}}, "0"},
		{"listens in RESP3", []ask{{"HELLO", "3"}, {"SUBSCRIBE", "a"}}, "0"},
		{"monitors", []ask{{"MONITOR"}}, "0"},
		{"is told of keys", []ask{{"HELLO", "3"}, {"CLIENT", "TRACKING", "ON"}, {"GET", "k"}}, "0"},
		{"is told of all keys", []ask{{"HELLO", "3"}, {"CLIENT", "TRACKING", "ON", "BCAST"}}, "0"},
		{"is told no more", []ask{{"HELLO", "3"}, {"CLIENT", "TRACKING", "ON"}, {"CLIENT", "TRACKING", "OFF"}}, "0"},
		{"is reset", []ask{{"WATCH", "k"}, {"SUBSCRIBE", "a"}, {"RESET"}}, "0"},
	} {
		direct, through := server.Dial(), s.proxy.Dial(testkit.Redis)
		for _, c := range []*testkit.Client{direct, through} {
			c.Send(testkit.RESP("CLIENT", "ID"))
		}
		ids := []string{strings.Trim(direct.Reply(), ":\r\n"), strings.Trim(through.Reply(), ":\r\n")}
		for _, words := range tt.says {
			direct.Send(testkit.RESP(words...))
			through.Send(testkit.RESP(words...))
		}
		asksServer, asksProxy := server.Dial(), s.proxy.Dial(testkit.Redis)
		last := ""
		if len(tt.says) > 0 {
			last = strings.ToLower(tt.says[len(tt.says)-1][0])
		}
		testkit.Await(t, "a client that "+tt.name+" to be listed", func() error {
			if last != "" && !strings.Contains(asksServer.Do("CLIENT", "LIST", "ID", ids[0]), " cmd="+last) {
				return fmt.Errorf("%w: redis-server has not read all", errListed)
			}
			want, _ := listedAs(asksServer, ids[0])
			got, watch := listedAs(asksProxy, ids[1])
			if !slices.Equal(got, want) || watch != tt.watch {
				return fmt.Errorf("%w: %v watch=%s, want %v watch=%s", errListed, got, watch, want, tt.watch)
			}
			return nil
		})
		direct.Close()
		through.Close()
	}
}
