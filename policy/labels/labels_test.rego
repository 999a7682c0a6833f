package labels_test

import data.labels

good := {"app": "shop", "owner": "ann", "stage": "dev"}

asked(found, containers) := {"request": {"object": {
	"metadata": {"labels": found},
	"spec": {"containers": containers},
}}}

web(image) := {"name": "web", "image": image}

test_all_labels_are_there if {
	labels.allow with input as asked(good, [])
}

test_a_missing_label_is_named if {
	found := labels.deny with input as asked(object.remove(good, ["owner"]), [])
	found == {"label \"owner\" is missing"}
}

test_without_labels_all_are_missing if {
	found := labels.deny with input as {"request": {"object": {"metadata": {}}}}
	count(found) == 3
}

test_a_stage_has_to_be_known if {
	found := labels.deny with input as asked(object.union(good, {"stage": "qa"}), [])
	found == {"stage \"qa\" is none of dev, prod, test"}
}

test_values_are_lower_case if {
	found := labels.deny with input as asked(object.union(good, {"app": "Shop"}), [])
	found == {"the value of label \"app\" is no lower-case name"}
}

test_production_needs_pinned_images if {
	prod := object.union(good, {"stage": "prod"})
	found := labels.deny with input as asked(prod, [web("shop:latest"), web("shop@sha256:0a1b")])
	found == {"container \"web\" has no pinned image"}
	labels.allow with input as asked(prod, [web("shop@sha256:0a1b")])
}

test_development_does_not if {
	labels.allow with input as asked(good, [web("shop:latest")])
}
