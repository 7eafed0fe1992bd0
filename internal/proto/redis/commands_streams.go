package redis

import "nuthatch/internal/msg"

// Commands on places and streams, and on channels.

var geoCommands = group("geo", []command{
	forward("geoadd", -5, write, key1, "3.2.0", "Add places", "geo xx ch 13.361389 38.115556 palermo 15 37 new"),
	forward("geodist", -4, read, key1, "3.2.0", "The distance between two places", "geo palermo catania km"),
	forward("geohash", -2, read, key1, "3.2.0", "Places as geohashes", "geo palermo missing"),
	forward("geopos", -2, read, key1, "3.2.0", "Places as longitude and latitude", "geo palermo missing"),
	forward("georadius", -6, write, storeFrom6, "3.2.0", "The places around a point", "geo 15 37 200 km asc count 5 store new"),
	forward("georadius_ro", -6, read, key1, "3.2.10", "The places around a point, without STORE", "geo 15 37 200 km withdist withcoord asc"),
	forward("georadiusbymember", -5, write, storeFrom5, "3.2.0", "The places around a place", "geo palermo 200 km asc storedist new"),
	forward("georadiusbymember_ro", -5, read, key1, "3.2.10", "The places around a place, without STORE", "geo palermo 200 km withdist asc"),
	forward("geosearch", -7, read, key1, "6.2.0", "The places in a circle or a box", "geo fromlonlat 15 37 byradius 200 km asc withdist"),
	forward("geosearchstore", -8, write, twoKeys, "6.2.0", "Store the places in a circle or a box", "new geo frommember palermo bybox 400 400 km asc"),
})

var streamCommands = group("stream", []command{
	forward("xack", -4, write, key1, "5.0.0", "Say that messages of a group are done with", "stream g 1-1 9-9"),
	forward("xackdel", -6, write, key1, "8.2.0", "Say that messages of a group are done with, and delete them", "stream g KEEPREF IDS 2 1-1 9-9"),
	forward("xadd", -5, write, key1, "5.0.0", "Add an entry to a stream", "stream nomkstream maxlen = 10 9-1 f v"),
	forward("xautoclaim", -6, write, key1, "6.2.0", "Take over messages that have waited for long", "stream g d 0 0-0 count 10 justid"),
	forward("xcfgset", -2, write, key1, "8.6.0", "Set for how long a stream knows what it was given before", "stream IDMP-DURATION 100"),
	forward("xclaim", -6, write, key1, "5.0.0", "Take over messages by name", "stream g d 0 1-1 force justid"),
	forward("xdel", -3, write, key1, "5.0.0", "Delete entries of a stream", "stream 1-1 9-9"),
	forward("xdelex", -5, write, key1, "8.2.0", "Delete entries of a stream, and what groups know of them", "stream KEEPREF IDS 2 1-1 9-9"),
	container("xgroup", "5.0.0", "Make, change and remove the groups that read a stream"),
	forward("xgroup|create", -5, write, key2, "5.0.0", "Make a group", "stream h $ mkstream"),
	forward("xgroup|createconsumer", 5, write, key2, "6.2.0", "Add a consumer to a group", "stream g e"),
	forward("xgroup|delconsumer", 5, write, key2, "5.0.0", "Remove a consumer from a group", "stream g c"),
	forward("xgroup|destroy", 4, write, key2, "5.0.0", "Remove a group", "stream g"),
	help("xgroup|help", "5.0.0"),
	forward("xgroup|setid", -5, write, key2, "5.0.0", "Set what a group has been given last", "stream g 1-1"),
	forward("xidmprecord", 5, write, key1, "8.8.0", "Note who gave a stream an entry", "stream p i 1-1"),
	container("xinfo", "5.0.0", "What a stream and its groups are like"),
	forward("xinfo|consumers", 4, read, key2, "5.0.0", "The consumers of a group", "stream g"),
	forward("xinfo|groups", 3, read, key2, "5.0.0", "The groups of a stream", "stream"),
	help("xinfo|help", "5.0.0"),
	forward("xinfo|stream", -3, read, key2, "5.0.0", "What a stream is like", "stream"),
	forward("xlen", 2, read, key1, "5.0.0", "How many entries a stream has", "stream"),
	forward("xnack", -7, write, key1, "8.8.0", "Give messages of a group back", "stream g FAIL IDS 1 1-1"),
	forward("xpending", -3, read, key1, "5.0.0", "The messages of a group that are not done with", "stream g"),
	forward("xrange", -4, read, key1, "5.0.0", "The entries between two", "stream - + count 2"),
	forward("xread", -4, read, streams, "5.0.0", "The entries of streams behind the given ones", "count 2 streams stream missing 0 0"),
	forward("xreadgroup", -7, write, groupStreams, "5.0.0", "A group's next messages of streams", "group g c count 1 noack streams stream 0"),
	forward("xrevrange", -4, read, key1, "5.0.0", "The entries between two, from the last", "stream + - count 2"),
	forward("xsetid", -3, write, key1, "5.0.0", "Set a stream's last ID", "stream 5-1"),
	forward("xtrim", -4, write, key1, "5.0.0", "Drop old entries of a stream", "stream maxlen = 1"),
})

var pubsubCommands = group("pubsub", []command{
	subscription("psubscribe", -2, msg.Subscription{Channels: msg.Patterns}, noKeys, "2.0.0", "Listen to the channels that match patterns"),
	broadcast("publish", 3, neither, mergeSum, "2.0.0", "Say something on a channel"),
	container("pubsub", "2.8.0", "Who listens to what"),
	broadcast("pubsub|channels", -2, neither, mergeUnion, "2.8.0", "The channels that somebody listens to"),
	help("pubsub|help", "6.2.0"),
	broadcast("pubsub|numpat", 2, neither, mergeMax, "2.8.0", "How many patterns somebody listens to"),
	broadcast("pubsub|numsub", -2, neither, mergePairSums, "2.8.0", "How many listen to channels"),
	broadcast("pubsub|shardchannels", -2, neither, mergeUnion, "7.0.0", "The shard channels that somebody listens to"),
	broadcast("pubsub|shardnumsub", -2, neither, mergePairSums, "7.0.0", "How many listen to shard channels"),
	subscription("punsubscribe", -1, msg.Subscription{Channels: msg.Patterns, Ends: true}, noKeys, "2.0.0", "Stop listening to patterns"),
	publish("spublish", key1, "7.0.0", "Say something on a shard channel", "channel message"),
	subscription("ssubscribe", -2, msg.Subscription{Channels: msg.ShardChannels}, allKeys, "7.0.0", "Listen to shard channels"),
	subscription("subscribe", -2, msg.Subscription{}, noKeys, "2.0.0", "Listen to channels"),
	subscription("sunsubscribe", -1, msg.Subscription{Channels: msg.ShardChannels, Ends: true}, allKeys, "7.0.0", "Stop listening to shard channels"),
	subscription("unsubscribe", -1, msg.Subscription{Ends: true}, noKeys, "2.0.0", "Stop listening to channels"),
})
