package proxy

import (
	"reflect"
	"slices"
	"testing"

	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
)

// A protocol has what it needs and nothing more: a method that only says "never asked" is
// not to be written.
func TestCapabilities(t *testing.T) {
	for name, tt := range map[string]struct {
		protocol Protocol
		want     []string
	}{
		"redis": {redis.New(redis.Options{}), []string{
			"greeter", "sessions", "learner", "preparer", "chooser", "inquirer", "reporter", "crossed", "transactor", "counter", "lender", "blocker", "messenger", "confirmer", "tracker", "monitored", "guard", "gates", "redirector", "sequencer",
		}},
		"memcached": {memcache.New(memcache.Options{}), []string{"silencer"}},
	} {
		has := reflect.ValueOf(capabilitiesOf(tt.protocol))
		var got []string
		for i := range has.NumField() {
			if f := has.Type().Field(i); !f.Anonymous && !has.Field(i).IsNil() {
				got = append(got, f.Name)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s has %q, want %q", name, got, tt.want)
		}
	}
}
