package main

// axis is something that a request's cost may grow with. Its points are works.
type axis struct {
	title  string
	column string // what x is
	// per is a part of a request whose cost is shown too, and should not grow;
	// empty for none.
	per    string
	points []point
}

type point struct {
	x    int
	work string
}

// axes are the tables of growth.
var axes = []axis{
	{"GET, 50 clients, by the number of servers", "servers", "", []point{
		{3, "get-s3"}, {100, "get-s100"}, {1000, "get-s1000"},
	}},
	{"GET, 100 clients, by the number of pools that they are spread over", "pools", "", []point{
		{1, "get-pools1"}, {100, "get-pools100"},
	}},
	{"GET by the number of connections", "connections", "", []point{
		{1, "get-c1"}, {50, "get-p1"}, {1000, "get-c1000"}, {10_000, "get-c10000"},
	}},
	{"MGET over 3 servers by the number of keys", "keys", "key", []point{
		{10, "mget-10"}, {100, "mget-100"}, {1000, "mget-1000"}, {10_000, "mget-10000"},
	}},
	{"MSET over 3 servers by the number of keys", "keys", "key", []point{
		{100, "mset-100"}, {1000, "mset-1000"}, {10_000, "mset-10000"},
	}},
	{"DEL over 3 servers by the number of keys", "keys", "key", []point{
		{100, "del-100"}, {1000, "del-1000"}, {10_000, "del-10000"},
	}},
	{"GET by the depth of pipelines", "depth", "", []point{
		{1, "get-p1"}, {4, "get-p4"}, {16, "get-p16"}, {100, "get-p100"}, {1000, "get-p1000"},
	}},
	{"GET by the size of values", "bytes", "KB", []point{
		{3, "get-p1"}, {1 << 10, "get-1kb"}, {10 << 10, "get-10kb"}, {100 << 10, "get-100kb"}, {1 << 20, "get-1mb"},
	}},
}

// parts is how many of the parts whose cost is shown a request at x has.
func (a axis) parts(x int) float64 {
	if a.per == "KB" {
		return float64(x) / 1024
	}
	return float64(x)
}
