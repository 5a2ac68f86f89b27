package lib.host_test

import data.lib.host

test_a_host_matches_its_own_name_in_any_case if {
	host.matches_host("api.example.com", "api.example.com")
	host.matches_host("API.Example.com", "api.example.COM")
	not host.matches_host("api.example.com.evil.net", "api.example.com")
	not host.matches_host("evilapi.example.com", "api.example.com")
}

test_a_star_stands_for_names_below if {
	host.matches_host("api.example.com", "*.example.com")
	host.matches_host("a.b.example.com", "*.Example.com")
	not host.matches_host("example.com", "*.example.com")
	not host.matches_host("evilexample.com", "*.example.com")
	not host.matches_host("example.com.evil.net", "*.example.com")
}

test_a_star_elsewhere_stands_for_nothing if {
	every pattern in ["*", "*.", "a.*.example.com", "api.*", "**.example.com", "*example.com"] {
		not host.matches_host("a.b.example.com", pattern)
	}
}

test_what_is_not_a_plain_name_is_no_host if {
	every odd in [
		"", "api.example.com:443", "user@api.example.com", "api.example.com.", ".example.com", "a..example.com",
		"https://api.example.com", "api.example.com/x", "api.example.com\n", "-api.example.com", "аpi.example.com",
	] {
		not host.matches_host(odd, odd)
		not host.matches_host(odd, "*.example.com")
	}
}

test_what_is_no_text_is_no_host if {
	every other in [null, true, 5, [], {}, ["api.example.com"]] {
		not host.matches_host(other, "*.example.com")
		not host.matches_host("api.example.com", other)
		not host.matches_host(other, other)
	}
	set() == {1 | host.matches_host(input.missing, "*.example.com")}
	set() == {1 | host.matches_host("api.example.com", input.missing)}
}
