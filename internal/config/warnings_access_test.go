package config

import "testing"

// Keys of TLS, logins, users and limits that do nothing are told, and those that do are not.
func TestWarningsOfAccess(t *testing.T) {
	checkWarnings(t, []warned{
		{"certificates that nobody looks at", "server_tls: {verify: none}", "", []string{"server_tls.verify: the certificates of the servers are not checked"}},
		{"ciphers of TLS 1.2", "tls: {cert: /c, key: /k, ciphers: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}", "", nil},
		{"ciphers of no version", "tls: {cert: /c, key: /k, min_version: TLSv1.3, ciphers: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}", "", []string{"tls.ciphers: it does nothing with 'min_version: TLSv1.3'"}},
		{"users of nobody's servers", "redis: true\n  max_server_users: 5", "", []string{"max_server_users: it does nothing without 'auth_mode: passthrough'"}},
		{"users of the servers", "redis: true\n  auth_mode: passthrough\n  max_server_users: 5\n  user_limits: {alice: {clients: 5}}", "", nil},
		{"a header that nobody sends", "proxy_protocol_timeout: 5s", "", []string{"proxy_protocol_timeout: it does nothing without 'proxy_protocol_from'"}},
		{"a header", "proxy_protocol_from: 10.0.0.1\n  proxy_protocol_timeout: 5s", "", nil},
		{"a login that nobody needs", "redis: true\n  client_login_timeout: 5s", "", []string{"client_login_timeout: it does nothing without 'redis_auth'"}},
		{"a login that the servers know of", "redis: true\n  auth_mode: passthrough\n  client_login_timeout: 5s", "", []string{"client_login_timeout: it does nothing with 'auth_mode: passthrough'"}},
		{"a login", "redis: true\n  redis_auth_file: /p\n  client_login_timeout: 5s", "", nil},
		{"waits without a limit", "limits: {max_wait: 5s, request_burst: 5, byte_burst: 5kb}", "", []string{"limits.max_wait: it does nothing without a limit", "limits.request_burst: it does nothing without 'requests_per_second'", "limits.byte_burst: it does nothing without 'bytes_per_second'"}},
		{"waits", "limits: {max_wait: 5s, requests_per_second: 5, request_burst: 5}", "", nil},
		{
			"limits of nobody", "redis: true\n  users: {alice: {rules: \"on\"}, default: {rules: \"off\"}}\n  user_limits: {alice: {clients: 5}, default: {clients: 5}, bob: {clients: 5, byte_burst: 5kb}}", "",
			[]string{"user_limits.bob: it does nothing: the pool has no user of that name", "user_limits.bob.byte_burst: it does nothing without 'bytes_per_second'"},
		},
		{
			"databases that there are not", "redis: true\n  users: {alice: {rules: \"on\"}, default: {rules: \"off\"}}\n  user_limits: {alice: {databases: [0, 3]}, default: {databases: 0}}", "",
			[]string{"user_limits.alice.databases: the pool does not have all of them: its 'databases' is 1"},
		},
		{"databases that there are", "redis: true\n  databases: 4\n  auth_mode: passthrough\n  user_limits: {alice: {databases: [0, 3]}}", "", nil},
		{"limits of the file's users", "redis: true\n  acl_file: /users\n  user_limits: {bob: {clients: 5}}", "", nil},
		{"limits of users of Memcached", "user_limits: {bob: {clients: 5}}", "", []string{"user_limits: it does nothing without 'redis: true'"}},
		{"handshakes of nobody", "", "nuthatch: {tls_handshakes: 5, tls_handshake_timeout: 3s, tls_ticket_keys_file: /k}\n", []string{"tls_handshakes: it does nothing", "tls_handshake_timeout: it does nothing", "tls_ticket_keys_file: it does nothing"}},
		{"handshakes with servers", "server_tls: {ca: system}", "nuthatch: {tls_handshakes: 5, tls_handshake_timeout: 3s}\n", []string{"tls_handshakes: it does nothing without a pool with 'tls'"}},
		{"handshakes", "tls: {cert: /c, key: /k}", "nuthatch: {tls_handshakes: 5, tls_handshake_timeout: 3s, tls_ticket_keys_file: /k}\n", nil},
	})
}
