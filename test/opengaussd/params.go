package opengaussd

// parameters are the ParameterStatus messages after a login, in the recorded
// order (golden b_ptrack_stream_main_01 #7–#30, b_ptrack_stream_ha_01
// #5–#28). is_sysadmin is off in all recordings, though the role is one; on a
// replication connection the user is not told and nothing is converted.
func parameters(c *client) [][2]string {
	encoding, user := "UTF8", c.params["user"]
	if c.replication {
		encoding, user = "SQL_ASCII", ""
	}
	return [][2]string{
		{"application_name", c.params["application_name"]}, {"b_format_behavior_compat_options", ""},
		{"behavior_compat_options", ""}, {"cgroup_name", ""}, {"character_set_connection", encoding},
		{"client_encoding", encoding}, {"collation_connection", ""}, {"connection_info", ""}, {"DateStyle", "ISO, MDY"},
		{"disable_keyword_options", ""}, {"enable_record_nettime", "off"}, {"integer_datetimes", "on"},
		{"IntervalStyle", "postgres"}, {"is_sysadmin", "off"}, {"memory_detail_tracking", ""},
		{"plsql_compile_check_options", ""}, {"query_band", ""}, {"server_encoding", encoding},
		{"server_version", "9.2.4"}, {"session_authorization", user}, {"session_respool", "invalid_pool"},
		{"standard_conforming_strings", "on"}, {"TimeZone", "UTC"}, {"uppercase_attribute_name", "off"},
	}
}
