package replication

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

const (
	primaryInfo = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_replid:aa\r\nmaster_repl_offset:1000\r\n# Persistence\r\nloading:0\r\n" +
		"# Server\r\navailability_zone:eu-1a\r\n"
	replicaInfo = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:3\r\n" +
		"slave_read_repl_offset:950\r\nslave_repl_offset:900\r\nmaster_replid:aa\r\nmaster_repl_offset:900\r\n# Persistence\r\nloading:0\r\nasync_loading:0\r\n"
)

// What INFO says is read from its lines.
func TestParse(t *testing.T) {
	if got, want := *Parse(primaryInfo), (Report{Primary: true, ID: "aa", Offset: 1000, Zone: "eu-1a"}); got != want {
		t.Errorf("the primary says %+v, want %+v", got, want)
	}
	if got, want := *Parse(replicaInfo), (Report{Linked: true, ID: "aa", Offset: 900, Silence: 3 * time.Second}); got != want {
		t.Errorf("the replica says %+v, want %+v", got, want)
	}
	lost := strings.Replace(replicaInfo, "up\r\nmaster_last_io_seconds_ago:3", "down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_link_down_since_seconds:7", 1)
	if got, want := *Parse(lost), (Report{ID: "aa", Offset: 900, Silence: 7 * time.Second}); got != want {
		t.Errorf("a replica without a link says %+v, want %+v", got, want)
	}
	if got := *Parse("garbage\nrole\n:\nmaster_repl_offset:many"); got != (Report{}) {
		t.Errorf("garbage says %+v", got)
	}
}

// A replica is read from only if nothing speaks against it.
func TestJudge(t *testing.T) {
	fit := Report{Linked: true, ID: "aa", Offset: 900, Silence: time.Second}
	primary := &Report{Primary: true, ID: "aa", Offset: 1000}
	limits := config.Reads{MaxLag: 500, MaxSilence: 10 * time.Second}
	with := func(change func(*Report)) *Report {
		r := fit
		change(&r)
		return &r
	}
	for name, tt := range map[string]struct {
		limits  config.Reads
		replica *Report
		primary *Report
		why     topology.Unfit
		lag     int64
	}{
		"fit":                       {limits, &fit, primary, topology.Fit, 100},
		"no answer":                 {limits, nil, primary, topology.NoAnswer, -1},
		"loading":                   {limits, with(func(r *Report) { r.Loading = true }), primary, topology.Loads, 100},
		"promoted":                  {limits, with(func(r *Report) { r.Primary = true }), primary, topology.NoReplica, -1},
		"no link":                   {limits, with(func(r *Report) { r.Linked = false }), primary, topology.NoLink, 100},
		"no link to a dead primary": {limits, with(func(r *Report) { r.Linked = false }), nil, topology.Fit, -1},
		"no link for too long":      {limits, with(func(r *Report) { r.Linked, r.Silence = false, time.Minute }), nil, topology.Silent, -1},
		"silent":                    {limits, with(func(r *Report) { r.Silence = 10 * time.Second }), primary, topology.Silent, 100},
		"another's":                 {limits, with(func(r *Report) { r.ID = "bb" }), primary, topology.OfAnother, -1},
		"behind":                    {limits, with(func(r *Report) { r.Offset = 499 }), primary, topology.Lags, 501},
		"just not behind":           {limits, with(func(r *Report) { r.Offset = 500 }), primary, topology.Fit, 500},
		"ahead":                     {limits, with(func(r *Report) { r.Offset = 1001 }), primary, topology.Fit, 0},
		"its primary does not say":  {limits, &fit, nil, topology.Fit, -1},
		"its primary is none":       {limits, &fit, &Report{ID: "bb"}, topology.Fit, -1},
		"far behind, with no limit": {config.Reads{}, with(func(r *Report) { r.Offset, r.Silence = 0, time.Hour }), primary, topology.Fit, 1000},
	} {
		got := Judge(&tt.limits, tt.replica, tt.primary)
		if got.Why != tt.why || got.Lag != tt.lag {
			t.Errorf("%s: %v with a lag of %d, want %v with %d", name, got.Why, got.Lag, tt.why, tt.lag)
		}
	}
}
