"""ztag beside a real opa-envoy-plugin: the same CheckRequests, the same policies; what differs has to be explained."""
