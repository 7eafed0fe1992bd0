package main

import (
	"reflect"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/daemon"
	"nuthatch/internal/version"
)

// TestFlagsReachTheDaemon follows every flag to the option it sets.
func TestFlagsReachTheDaemon(t *testing.T) {
	cfg := &config.Config{}
	byDefault := daemon.Options{
		Program: "nuthatch", Version: version.Version, Config: cfg,
		ConfigFile: "conf/nutcracker.yml", LogLevel: 5,
		StatsAddr: "0.0.0.0", StatsPort: 22222, StatsInterval: 30 * time.Second,
	}
	tests := []struct {
		name string
		args []string
		want func(*daemon.Options)
	}{
		{"none", nil, func(*daemon.Options) {}},
		{"daemonize", []string{"-d"}, func(o *daemon.Options) { o.Daemonize = true }},
		{"verbose", []string{"-v", "0"}, func(o *daemon.Options) { o.LogLevel = 0 }},
		{"verbose beyond the last level", []string{"-v", "12"}, func(o *daemon.Options) { o.LogLevel = 11 }},
		{"output", []string{"-o", "a.log"}, func(o *daemon.Options) { o.LogFile = "a.log" }},
		{"conf-file", []string{"-c", "a.yml"}, func(o *daemon.Options) { o.ConfigFile = "a.yml" }},
		{"stats-port", []string{"-s", "1"}, func(o *daemon.Options) { o.StatsPort = 1 }},
		{"stats-addr", []string{"-a", "::1"}, func(o *daemon.Options) { o.StatsAddr = "::1" }},
		{"stats-interval", []string{"-i", "1500"}, func(o *daemon.Options) { o.StatsInterval = 1500 * time.Millisecond }},
		{"pid-file", []string{"-p", "a.pid"}, func(o *daemon.Options) { o.PidFile = "a.pid" }},
		{"mbuf-size", []string{"-m", "512"}, func(*daemon.Options) {}},
		{"the last one counts", []string{"-v1", "-v2"}, func(o *daemon.Options) { o.LogLevel = 2 }},
		{"all in one", []string{"-dv6", "--output=a.log", "-ca.yml"}, func(o *daemon.Options) {
			o.Daemonize, o.LogLevel, o.LogFile, o.ConfigFile = true, 6, "a.log", "a.yml"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parseFlags(nuthatch, tt.args)
			if err != nil {
				t.Fatal(err)
			}
			want := byDefault
			tt.want(&want)
			if got := f.options(nuthatch, cfg); !reflect.DeepEqual(got, want) {
				t.Errorf("options\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}
