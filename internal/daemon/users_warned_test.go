package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// Limits of users that the file of users does not have are told by -t, which goes on, and by the log
// of a reload, as of a start.
func TestLimitsOfStrangers(t *testing.T) {
	server, file := testkit.StartRedis(t), filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte("user default off\nuser alice on >a ~* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := pool("alpha", testkit.FreeAddr(t), testkit.Names(server), "timeout: 5s", "acl_file: "+file,
		"user_limits: {alice: {clients: 5}, default: {clients: 5}, alcie: {clients: 5}}")
	s := startStage(t, text)
	conf, err := config.Load(s.file)
	if err != nil || len(conf.Warnings) > 0 {
		t.Fatal(err, conf.Warnings)
	}
	found := checkUsers(checkedStart{Options: Options{Config: conf}})
	if len(found) != 1 || !found[0].Doubt || found[0].Err.Error() != "pool 'alpha': user_limits.alcie: "+config.UnknownUser {
		t.Errorf("-t finds %v", found)
	}
	s.mustReload(text)
	if err := s.log.Flush(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(s.opts.LogFile)
	if n := strings.Count(string(log), "user_limits names a user that the file of users does not have"); err != nil || n != 2 || !strings.Contains(string(log), "user=alcie") {
		t.Errorf("%d lines of the log tell it: %v", n, err)
	}
}
