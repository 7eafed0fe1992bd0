package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nuthatch/internal/admin/findings"
	"nuthatch/internal/config"
	"nuthatch/internal/inet"
	"nuthatch/internal/socket"
	"nuthatch/internal/tlsstage"
	"nuthatch/internal/units"
)

// statsAddress is where the statistics port listens; the zero Address if there is none.
func statsAddress(o Options) config.Address {
	switch {
	case strings.HasPrefix(o.StatsAddr, "/"):
		return config.Address{Network: config.NetworkUnix, Path: o.StatsAddr}
	case o.StatsPort == 0:
		return config.Address{}
	}
	return config.Address{Network: config.NetworkTCP, Host: inet.Canonical(o.StatsAddr), Port: o.StatsPort}
}

// takenByOthers reports whether a pool or the statistics port listens at addr.
func takenByOthers(addr config.Address, c *config.Config, o Options) bool {
	for _, at := range c.Listeners() {
		if at.Overlaps(addr) {
			return true
		}
	}
	return statsAddress(o).Overlaps(addr)
}

// A Finding is what Check has found: a fault, or something that may be one.
type Finding struct {
	// Err says what.
	Err error
	// Doubt: a start may succeed nevertheless.
	Doubt bool
	// NotNow: it would not succeed as things are, though the file is not at fault.
	NotNow bool
}

// A checkedStart is what Check checks.
type checkedStart struct {
	Options
	// anyStats: the statistics port is the default, and may be another one when the
	// proxy starts.
	anyStats bool
}

// startChecks are what Check looks at.
var startChecks = []func(checkedStart) []Finding{checkSecrets, checkCertificates, checkUsers, checkNames, checkStatsPort, checkSockets, checkFiles, checkDescriptors, checkEngine}

// Check finds what would keep a proxy from starting with o, beside faults of the
// configuration file. It opens nothing. Addresses in use at the moment do not count:
// they may be this proxy's. statsChosen: the statistics port is not the default.
func Check(o Options, statsChosen bool) []Finding {
	var all []Finding
	for _, check := range startChecks {
		all = append(all, check(checkedStart{o, !statsChosen})...)
	}
	return all
}

// resolveListens bounds the look-ups of names to listen at.
const resolveListens = 5 * time.Second

// checkNames looks up the names to listen at, as a start does.
func checkNames(o checkedStart) []Finding {
	ctx, cancel := context.WithTimeout(context.Background(), resolveListens)
	defer cancel()
	var all []Finding
	check := func(what string, a config.Address) {
		if a.Network != config.NetworkTCP {
			return
		}
		if _, err := socket.Resolve(ctx, a.Host, a.Port); err != nil {
			all = append(all, Finding{Err: fmt.Errorf("%s: listen on '%s': %w", what, a, err)})
		}
	}
	check("statistics port", statsAddress(o.Options))
	check("admin listener", o.Config.Process.Admin)
	for _, at := range o.Config.Listeners() {
		check("pool '"+o.Config.Pools[at.Pool].Name+"'", at.Address)
	}
	return all
}

// checkSecrets reads the secrets that come from elsewhere, as a start does.
func checkSecrets(o checkedStart) []Finding {
	_, tokens := readTokens(&o.Config.Process)
	_, secrets := o.Config.WithSecrets()
	if err := errors.Join(tokens, secrets); err != nil {
		return []Finding{{Err: err}}
	}
	return nil
}

// checkCertificates reads the files of TLS, as a start does. A proxy starts with a certificate
// that has expired.
func checkCertificates(o checkedStart) []Finding {
	all, err := loadTLS(o.Config, nil, new(tlsstage.Tickets), nil)
	if err != nil {
		return []Finding{{Err: err}}
	}
	var found []Finding
	for _, c := range (&generation{conf: o.Config, tls: all}).certificates() {
		doubt := func(err error) { found = append(found, Finding{Err: err, Doubt: true}) }
		switch {
		case c.Refused != "":
			doubt(fmt.Errorf("%s: %s", whose(c.Pool, c.Block), c.Refused))
		case c.Until != nil && time.Until(*c.Until) < findings.CertificateSoon:
			doubt(fmt.Errorf("%s: the certificate ends in %s: it is valid until %s", whose(c.Pool, c.Block), units.Age(time.Until(*c.Until)), c.Until.UTC().Format(time.RFC3339)))
		}
		if c.SignersUntil == nil {
			continue
		}
		key, at := findings.SignersKey(c.Block), c.SignersUntil.UTC().Format(time.RFC3339)
		switch left := time.Until(*c.SignersUntil); {
		case left <= 0:
			doubt(fmt.Errorf("%s: the certificates of '%s' have ended: they were valid until %s, and nothing that they sign is accepted", whose(c.Pool, c.Block), key, at))
		case left < findings.CertificateSoon:
			doubt(fmt.Errorf("%s: the certificates of '%s' end in %s: they are valid until %s", whose(c.Pool, c.Block), key, units.Age(left), at))
		}
	}
	return found
}

// checkStatsPort finds listeners at the address of the statistics port. A
// default port may be another one when the proxy starts.
func checkStatsPort(o checkedStart) []Finding {
	at := statsAddress(o.Options)
	how := "choose another one with -s or -a"
	if o.anyStats {
		how = "start it with another -s or -a"
	}
	var all []Finding
	for _, l := range o.Config.Listeners() {
		if l.Overlaps(at) {
			err := fmt.Errorf("statistics port: %s is taken already, by pool '%s', which listens at %s; %s", at, o.Config.Pools[l.Pool].Name, l, how)
			all = append(all, Finding{Err: err, Doubt: o.anyStats})
		}
	}
	admins := []config.Address{o.Config.Process.AdminSocket}
	if o.Config.Process.AdminWritten { // the default address gives way
		admins = append(admins, o.Config.Process.Admin)
	}
	for _, admin := range admins {
		if admin.Overlaps(at) {
			err := fmt.Errorf("statistics port: %s is taken already, by the admin listener at %s; %s", at, admin, how)
			all = append(all, Finding{Err: err, Doubt: o.anyStats})
		}
	}
	return all
}

// checkSockets finds paths at which no unix socket can be made. A missing directory
// may be there when the proxy starts: some the proxy makes itself.
func checkSockets(o checkedStart) []Finding {
	var all []Finding
	check := func(what string, a config.Address) {
		if a.Network != config.NetworkUnix {
			return
		}
		switch err := inTheWay(a.Path); {
		case err == nil, errors.Is(err, os.ErrNotExist) && makesSocketDir(a.Path):
		case errors.Is(err, os.ErrNotExist):
			all = append(all, Finding{
				Err:   fmt.Errorf("%s: listen on '%s': %w: make %s first, if nothing makes it at the start", what, a, errNoDir, filepath.Dir(a.Path)),
				Doubt: true, NotNow: true,
			})
		default:
			all = append(all, Finding{Err: fmt.Errorf("%s: listen on '%s': %w", what, a, err)})
		}
	}
	for _, at := range o.Config.Listeners() {
		check("pool '"+o.Config.Pools[at.Pool].Name+"'", at.Address)
	}
	check("admin listener", o.Config.Process.Admin)
	check("socket for actions", o.Config.Process.AdminSocket)
	check("statistics port", statsAddress(o.Options))
	for _, w := range openSockets(&o.Config.Process) {
		all = append(all, Finding{Err: errors.New(w), Doubt: true})
	}
	return all
}

// inTheWay tells why no socket can be made at path. An old socket there does
// not matter.
func inTheWay(path string) error {
	if err := noFolder(path); err != nil {
		return err
	}
	if file, err := os.Lstat(path); err == nil && file.Mode().Type() != os.ModeSocket {
		return errNoSocket
	}
	return nil
}

// noFolder tells why there is no directory for a file at path.
func noFolder(path string) error {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if !folder.IsDir() {
		return fmt.Errorf("%s is not a directory", filepath.Dir(path))
	}
	return nil
}

// checkFiles finds files that cannot be written: their directory is missing, or a
// directory is in their place.
func checkFiles(o checkedStart) []Finding {
	var all []Finding
	for what, path := range map[string]string{"log file": o.LogFile, "pid file": o.PidFile} {
		if path == "" {
			continue
		}
		err := noFolder(path)
		if file, missing := os.Stat(path); missing == nil && file.IsDir() {
			err = fmt.Errorf("%s is a directory", path)
		}
		if err != nil {
			all = append(all, Finding{Err: fmt.Errorf("%s: %w", what, err)})
		}
	}
	return all
}
