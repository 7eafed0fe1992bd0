package stats

// A Renaming is a metric of Prometheus that had another name.
type Renaming struct{ Old, New string }

// Renamed are the metrics that have another name than in the release before. A
// metric's name says what it is about: connections, requests, clients, a server. Their
// old names are exposed for one release beside the new ones, with metrics_old_names:
// true. No new name is another metric's old one.
var Renamed = []Renaming{
	{"nuthatch_client_eof_total", "nuthatch_client_connection_eof_total"},
	{"nuthatch_client_errors_total", "nuthatch_client_connection_errors_total"},
	{"nuthatch_client_closes_total", "nuthatch_client_connection_closes_total"},
	{"nuthatch_clients_refused_total", "nuthatch_client_connection_refusals_total"},
	{"nuthatch_client_refusals_total", "nuthatch_client_connection_refusals_by_reason_total"},
	{"nuthatch_pool_ejections_total", "nuthatch_pool_server_ejections_total"},
	{"nuthatch_forward_errors_total", "nuthatch_client_request_forward_errors_total"},
	{"nuthatch_fragments_total", "nuthatch_client_request_fragments_total"},
	{"nuthatch_failed_requests_total", "nuthatch_client_failed_requests_total"},
	{"nuthatch_slow_requests_total", "nuthatch_client_slow_requests_total"},
	{"nuthatch_server_eof_total", "nuthatch_server_connection_eof_total"},
	{"nuthatch_server_errors_total", "nuthatch_server_connection_errors_total"},
	{"nuthatch_server_timeouts_total", "nuthatch_server_connection_timeouts_total"},
	{"nuthatch_server_closes_total", "nuthatch_server_connection_closes_total"},
	{"nuthatch_server_dials_total", "nuthatch_server_connection_attempts_total"},
	{"nuthatch_server_in_queue", "nuthatch_server_unsent_requests"},
	{"nuthatch_server_in_queue_bytes", "nuthatch_server_unsent_request_bytes"},
	{"nuthatch_server_out_queue", "nuthatch_server_unanswered_requests"},
	{"nuthatch_server_out_queue_bytes", "nuthatch_server_unanswered_request_bytes"},
	{"nuthatch_server_returns_total", "nuthatch_server_ejection_ends_total"},
	{"nuthatch_server_probes_total", "nuthatch_server_probe_requests_total"},
	{"nuthatch_server_failed_checks_total", "nuthatch_server_failed_health_checks_total"},
	{"nuthatch_server_retries_total", "nuthatch_server_request_retries_total"},
	{"nuthatch_server_retries_refused_total", "nuthatch_server_request_retries_refused_total"},
	{"nuthatch_loop_chunk_bytes", "nuthatch_loop_live_chunk_bytes"},
	{"nuthatch_loop_free_bytes", "nuthatch_loop_free_chunk_bytes"},
	{"nuthatch_loop_memory_bytes", "nuthatch_loop_memory_held_bytes"},
	{"nuthatch_loop_memory_pauses_total", "nuthatch_loop_memory_read_pauses_total"},
}
