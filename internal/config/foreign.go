package config

import (
	"slices"
	"strings"
)

// foreignNames are names that other programs have for what a key of ours is for: Redis and
// Sentinel, HAProxy, Envoy, stunnel, predixy, and clients. They are squeezed; a key is
// written with its block, as in "tls.listen" and "nuthatch.threads".
var foreignNames = map[string]string{
	"bind": "listen", "address": "listen", "addr": "listen", "port": "listen", "listener": "listen", "listeners": "listen",
	"unixsocket": "listen", "socket": "listen", "frontend": "listen", "listenaddress": "listen",
	"host": "servers", "hosts": "servers", "nodes": "servers", "backend": "servers", "backends": "servers", "upstream": "servers",
	"upstreams": "servers", "endpoints": "servers", "lbendpoints": "servers", "loadassignment": "servers", "connect": "servers", "seeds": "servers",
	"startupnodes": "servers", "clusters": "servers",
	"protocol": "redis", "type": "redis", "memcached": "redis", "memcache": "redis",
	"balance": "distribution", "lbpolicy": "distribution", "hashtype": "hash", "hashalgorithm": "hash",
	"enablehashtagging": "hash_tag", "hashtagging": "hash_tag",
	"password": "redis_auth", "pass": "redis_auth", "auth": "redis_auth", "requirepass": "redis_auth", "authpass": "redis_auth",
	"downstreamauthpassword": "redis_auth", "downstreamauthpasswords": "redis_auth",
	"masterauth": "server_password", "authpassword": "server_password", "masteruser": "server_user", "authusername": "server_user",
	"user": "server_user", "username": "server_user",
	"aclfile": "acl_file", "acl": "acl_file", "authority": "users",
	"db": "redis_db", "database": "redis_db",
	"servertimeout": "timeout", "optimeout": "timeout", "timeoutserver": "timeout", "readtimeout": "timeout", "sockettimeout": "timeout",
	"timeoutconnect": "connect_timeout", "connectiontimeout": "connect_timeout", "dialtimeout": "connect_timeout",
	"timeoutclient": "client_idle_timeout", "clienttimeout": "client_idle_timeout", "idletimeout": "client_idle_timeout", "timeoutidle": "client_idle_timeout",
	"maxclients": "client_connections", "maxconn": "client_connections", "maxconns": "client_connections",
	"maxconnections": "client_connections", "clientmaxconnections": "client_connections",
	"poolsize": "server_connections", "connectionpoolsize": "server_connections", "servermaxconnections": "server_connections",
	"acceptproxy": "proxy_protocol_from", "proxyprotocol": "proxy_protocol_from", "allow": "allow_from", "deny": "deny_from",
	"keepalive": "tcpkeepalive", "clitcpka": "tcpkeepalive", "srvtcpka": "tcpkeepalive", "tcpbacklog": "backlog",
	"outlierdetection": "auto_eject_hosts", "autoeject": "auto_eject_hosts", "ejecthosts": "auto_eject_hosts",
	"retries": "retry", "maxretries": "retry", "retrypolicy": "retry", "reconnectdelay": "reconnect_backoff",
	"healthchecks": "health_check.interval", "healthcheckinterval": "health_check.interval", "checkinterval": "health_check.interval", "inter": "health_check.interval",
	"healthythreshold": "health_check.rise", "unhealthythreshold": "health_check.fall",
	"clusterenabled": "cluster", "clustermode": "cluster", "rediscluster": "cluster",
	"replicareadonly": "read_policy", "readfrom": "read_policy", "readpreference": "read_policy", "routebylatency": "read_policy", "readfromreplicas": "read_policy",
	"slaves": "replicas", "slave": "replicas", "replica": "replicas",
	"sentinelhosts": "sentinels", "sentinelservers": "sentinels", "sentinelauthpass": "sentinel_password", "sentinelauthuser": "sentinel_user",
	"maxmemory": "nuthatch.max_memory", "memorylimit": "nuthatch.max_memory",
	"workers": "nuthatch.threads", "worker": "nuthatch.threads", "workerthreads": "nuthatch.threads", "workerprocesses": "nuthatch.threads",
	"iothreads": "nuthatch.threads", "nbthread": "nuthatch.threads", "concurrency": "nuthatch.threads", "nbproc": "nuthatch.threads",
	"stats": "nuthatch.admin", "metrics": "nuthatch.admin", "prometheus": "nuthatch.admin", "adminlisten": "nuthatch.admin", "adminaddress": "nuthatch.admin",
	"adminaddr": "nuthatch.admin", "adminport": "nuthatch.admin", "metricsport": "nuthatch.admin", "statslisten": "nuthatch.admin",
	"slowloglogslowerthan": "nuthatch.slowlog_slower_than", "slowlog": "nuthatch.slowlog_slower_than",
	"includes": "nuthatch.include", "defaults": "nuthatch.pool_defaults", "opentelemetry": "nuthatch.tracing.endpoint", "otel": "nuthatch.tracing.endpoint",
	"shutdowntimeout": "nuthatch.drain_timeout", "gracetimeout": "nuthatch.drain_timeout", "hardstopafter": "nuthatch.drain_timeout",
	"ssl": "tls.cert", "tlsport": "tls.listen", "sslport": "tls.listen", "accept": "tls.listen",
	"tlscertfile": "tls.cert", "crt": "tls.cert", "cert": "tls.cert", "certificate": "tls.cert", "sslcert": "tls.cert", "certfile": "tls.cert",
	"tlscertificate": "tls.cert", "tlskeyfile": "tls.key", "key": "tls.key", "sslkey": "tls.key", "keyfile": "tls.key", "privatekey": "tls.key",
	"tlscacertfile": "tls.client_ca", "tlscacertdir": "tls.client_ca", "cafile": "tls.client_ca", "capath": "tls.client_ca",
	"tlsauthclients": "tls.client_cert", "verifychain": "tls.client_cert", "verifypeer": "tls.client_cert",
	"tlsprotocols": "tls.min_version", "sslminver": "tls.min_version", "sslversion": "tls.min_version", "sslversionmin": "tls.min_version",
	"tlsciphers": "tls.ciphers", "ciphers": "tls.ciphers", "sni": "tls.server_names",
	"checkhost": "server_tls.server_name", "tlsreplication": "server_tls.ca", "serverssl": "server_tls.ca", "backendtls": "server_tls.ca", "transportsocket": "server_tls.ca",
}

// foreignInBlocks are such names within a block, by the block's name.
var foreignInBlocks = map[string]map[string]string{
	"tls":        withinTLS,
	"admin_tls":  withinTLS,
	"server_tls": withinServerTLS, "sentinel_tls": withinServerTLS,
	"health_check": {"inter": "interval", "period": "interval", "every": "interval", "healthythreshold": "rise", "unhealthythreshold": "fall", "failures": "fall"},
	"limits":       withinLimits, "user_limits": withinLimits,
	"users":   {"pass": "password", "acl": "rules", "permissions": "rules", "commands": "rules"},
	"tracing": {"url": "endpoint", "address": "endpoint", "ratio": "sample", "rate": "sample", "samplingrate": "sample"},
}

var (
	withinTLS = map[string]string{
		"certificate": "cert", "certfile": "cert", "crt": "cert", "certchain": "cert", "keyfile": "key", "privatekey": "key",
		"ca": "client_ca", "cafile": "client_ca", "capath": "client_ca", "cacert": "client_ca", "clientca": "client_ca",
		"verify": "client_cert", "verifyclient": "client_cert", "authclients": "client_cert", "requireclientcert": "client_cert",
		"port": "listen", "bind": "listen", "address": "listen", "accept": "listen",
		"protocols": "min_version", "version": "min_version", "minprotocol": "min_version", "ciphersuites": "ciphers", "sni": "server_names",
		"password": "key_password_file", "keypassword": "key_password_file",
	}
	withinServerTLS = map[string]string{
		"certificate": "cert", "certfile": "cert", "crt": "cert", "keyfile": "key", "privatekey": "key",
		"cafile": "ca", "capath": "ca", "cacert": "ca", "clientca": "ca", "sni": "server_name", "checkhost": "server_name", "servername": "server_name",
		"insecureskipverify": "verify", "insecure": "verify", "skipverify": "verify", "password": "key_password_file", "keypassword": "key_password_file",
	}
	withinLimits = map[string]string{
		"rps": "requests_per_second", "rate": "requests_per_second", "qps": "requests_per_second", "requests": "requests_per_second",
		"burst": "request_burst", "bandwidth": "bytes_per_second", "bytes": "bytes_per_second",
		"connections": "clients", "maxclients": "clients", "maxconnections": "clients", "concurrency": "in_flight",
	}
)

// options are names that are options of the command line here, and keys of other programs.
var options = map[string]string{
	"loglevel": "--verbose", "verbosity": "--verbose", "logfile": "--output", "log": "--output", "pidfile": "--pid-file", "daemonize": "--daemonize", "daemon": "--daemonize",
	"statsport": "--stats-port", "statsaddr": "--stats-addr", "statsinterval": "--stats-interval", "mbufsize": "--mbuf-size",
}

// squeeze is a name without what tells its words apart, so that tls-port, tlsPort and
// tls_port are one.
func squeeze(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(name))
}

// meant is a clause about the key that somebody likely meant by a word that is no key of the
// block, and the key, if it is one of the block, whose keys are names. Both are empty if none
// is known. Edit distance is not looked at.
func (r *reader) meant(b *block, word string, names []string) (clause, key string) {
	within := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(b.prefix, processBlock+".pool_defaults."), processBlock+"."), ".")
	isProcess := strings.HasPrefix(b.prefix, processBlock+".") && !strings.HasPrefix(b.prefix, processBlock+".pool_defaults.")
	squeezed := squeeze(word)
	outer, _, entry := strings.Cut(within, ".")
	if entry && strings.HasPrefix(outer, "tls") {
		outer = "tls"
	}
	outer, _, _ = strings.Cut(outer, "[")
	if own := foreignInBlocks[outer][squeezed]; slices.Contains(names, own) {
		return "did you mean " + quote(own) + "?", own
	}
	for _, name := range names {
		if s := squeeze(name); s == squeezed || within != "" && squeeze(outer)+s == squeezed {
			return "did you mean " + quote(name) + "?", name
		}
	}
	if option := options[squeezed]; option != "" && within == "" {
		return "it is set by the option " + option, ""
	}
	path := foreignNames[squeezed]
	if path == "" {
		path = pathOf(r.keys, word)
	}
	return where(path, within, isProcess, names)
}

// where is the clause of meant for a key, with its block before it.
func where(path, within string, isProcess bool, names []string) (clause, key string) {
	if path == "" {
		return "", ""
	}
	inner, ofProcess := strings.CutPrefix(path, processBlock+".")
	of := ""
	switch {
	case ofProcess == isProcess && within == "" && slices.Contains(names, inner):
		return "did you mean " + quote(inner) + "?", inner
	case ofProcess && !isProcess:
		of = ", below the top-level name " + quote(processBlock)
	case !ofProcess && (isProcess || within != ""):
		of = ", of the pool"
	}
	if block, last, ok := strings.Cut(inner, "."); ok {
		return "did you mean " + quote(block+": "+last) + " (" + quote(last) + ", indented below " + quote(block+":") + ")" + of + "?", ""
	}
	return "did you mean " + quote(inner) + of + "?", ""
}

// pathOf is the key of a block that a word means that has the block's name in it, as in
// health_check_interval and listen_tls, or that has the key's own name and no other key has;
// or a pool's key.
func pathOf(keys []string, word string) string {
	squeezed, found := squeeze(word), ""
	for _, path := range keys {
		block, last, inBlock := strings.Cut(strings.TrimPrefix(path, processBlock+"."), ".")
		switch {
		case !inBlock && squeeze(block) == squeezed:
			return path
		case inBlock && (squeeze(block+last) == squeezed || squeeze(last+block) == squeezed):
			return path
		case inBlock && last == word && found == "":
			found = path
		}
	}
	return found
}

// ownKeys are all keys, with their blocks before them, in the order of the tables.
func ownKeys() (all []string) {
	for i := range poolKeys {
		all = append(all, poolKeys[i].name)
	}
	for i := range processKeys {
		all = append(all, processBlock+"."+processKeys[i].name)
	}
	return all
}
