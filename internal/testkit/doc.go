// Package testkit is for tests with several processes: real servers, both
// proxies, servers that misbehave by script, a raw client, and a runner that
// sends the same bytes to nutcracker and to nuthatch.
//
//	              Client, Play, Diff
//	               |             |
//	       StartNutcracker  StartNuthatch      built once per run
//	               |             |
//	StartRedis, StartMemcached, StartScripted, Refused
//
// Everything listens on loopback ports (or sockets in the test's own folder)
// that are reserved until the test ends, is ready when the call that started it
// returns, is ended by its process id, and shows the tail of its log when the
// test has failed. Nothing here waits a fixed time: see Await.
//
// CheckPart compares documents with the tables that they are made from, for tests
// of any package.
//
// Only tests import this package.
package testkit
