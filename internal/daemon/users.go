package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/preview"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/regularfile"
)

// maxUserFile is the most bytes of a file of users.
const maxUserFile = 16 << 20

// poolUsers are the users of a Redis pool, and what they were denied.
type poolUsers struct {
	// users is nil if the pool has none of its own.
	users *acl.Users
	log   *acl.Log
}

// readUsers makes the users of each pool of a configuration whose secrets have been read.
// Users that old, which may be nil, has too keep their numbers. The error names every fault.
func readUsers(conf *config.Config, old *generation) ([]poolUsers, error) {
	all := make([]poolUsers, len(conf.Pools))
	var faults []error
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if p.Protocol != config.Redis {
			continue
		}
		var before *acl.Users
		if at := old.poolIn(p.Name); at >= 0 {
			before, all[i].log = old.users[at].users, old.users[at].log
		}
		if all[i].log == nil {
			all[i].log = new(acl.Log)
		}
		if !p.HasUsers() {
			continue
		}
		text, err := readUserFile(p.ACLFile)
		if err != nil {
			err = fmt.Errorf("%spool '%s': acl_file: %w", conf.PlaceOf(p.Name, "acl_file"), p.Name, err)
		} else {
			all[i].users, err = redis.NewUsers(conf.File, p, text, before)
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	return all, errors.Join(faults...)
}

// poolIn is pool; g may be nil.
func (g *generation) poolIn(name string) int {
	if g == nil {
		return -1
	}
	return g.pool(name)
}

// readUserFile reads a file of users; nothing if there is none.
func readUserFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := regularfile.Read(path, maxUserFile)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// checkUsers reads the users, as a start does. Secrets that cannot be read are told by
// themselves.
func checkUsers(o checkedStart) []Finding {
	conf, _ := o.Config.WithSecrets()
	users, err := readUsers(conf, nil)
	if err != nil {
		return []Finding{{Err: err}}
	}
	var all []Finding
	for i := range conf.Pools {
		p := &conf.Pools[i]
		for _, name := range limitedStrangers(p, users[i].users) {
			all = append(all, Finding{Err: fmt.Errorf("pool '%s': user_limits.%s: %s", p.Name, name, config.UnknownUser), Doubt: true})
		}
	}
	return all
}

// limitedStrangers are those that user_limits names and that a file of users lacks. The
// configuration's own warnings have those of other pools.
func limitedStrangers(p *config.Pool, users *acl.Users) (names []string) {
	if p.ACLFile == "" || users == nil {
		return nil
	}
	for i := range p.UserLimits {
		if name := p.UserLimits[i].Name; users.Named([]byte(name)) == nil {
			names = append(names, name)
		}
	}
	return names
}

// userFiles are the files of users that a configuration names.
func userFiles(conf *config.Config) []string {
	var paths []string
	for i := range conf.Pools {
		if path := conf.Pools[i].ACLFile; path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// warnOfUsers tells of pools with users in which a client that does not log in may do
// everything, and of limits of users that there are not.
func (j *journal) warnOfUsers(g *generation) {
	for i, p := range g.users {
		if g.conf.Pools[i].ACLFile == "" { // the configuration's own warnings have the others
			continue
		}
		for _, name := range limitedStrangers(&g.conf.Pools[i], p.users) {
			j.log.Warn("user_limits names a user that the file of users does not have", slog.String("pool", g.conf.Pools[i].Name), slog.String("user", name))
		}
		if d := p.users.Default(); d.IsOn() && !d.NeedsPassword() && d.IsUnlimited() {
			j.log.Warn("the user default may do everything without a password", slog.String("pool", g.conf.Pools[i].Name),
				slog.String("advice", "add a rule for the user default, such as off"))
		}
	}
}

// changedUsers are the users that differ between two generations.
func changedUsers(old, g *generation) (all []preview.Users) {
	for i := range g.conf.Pools {
		var before *acl.Users
		pool := g.conf.Pools[i].Name
		if at := old.pool(pool); at >= 0 {
			before = old.users[at].users
		}
		if text := userChanges(before, g.users[i].users); text != "" {
			all = append(all, preview.Users{Pool: pool, Text: text})
		}
	}
	return all
}

// users tells which users a reload has changed.
func (j *journal) users(changed []preview.Users) {
	for _, u := range changed {
		j.log.Notice("reload: users changed", slog.String("pool", u.Pool), slog.String("users", u.Text))
		j.addEvent(events.Event{Kind: events.UsersChanged, Pool: u.Pool, Text: "users changed; " + u.Text})
	}
}

// userChanges says which users differ; empty: none. Either may be nil: there are none.
func userChanges(before, now *acl.Users) string {
	var added, changed, removed []string
	for _, u := range usersOf(now) {
		was := userNamed(before, u.Name())
		switch {
		case was == nil:
			added = append(added, acl.ShownName(u.Name()))
		case was.Line() != u.Line():
			changed = append(changed, acl.ShownName(u.Name()))
		}
	}
	for _, u := range usersOf(before) {
		if userNamed(now, u.Name()) == nil {
			removed = append(removed, acl.ShownName(u.Name()))
		}
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"added", added}, {"changed", changed}, {"removed", removed}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+": "+firstNames(p.names))
		}
	}
	return strings.Join(parts, "; ")
}

// maxNamed is how many users a line names.
const maxNamed = 8

// firstNames are the first of the names, and how many more there are.
func firstNames(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

func usersOf(us *acl.Users) []*acl.User {
	if us == nil {
		return nil
	}
	return us.All()
}

func userNamed(us *acl.Users, name string) *acl.User {
	if us == nil {
		return nil
	}
	return us.Named([]byte(name))
}
