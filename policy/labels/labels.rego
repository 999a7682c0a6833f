# Rules on labels, as an admission controller has them: what a workload must say of itself before it may run.
package labels

required := {"app", "owner", "stage"}

stages := {"dev", "test", "prod"}

default allow := false

allow if count(deny) == 0

deny contains message if {
	some label in (required - object.keys(labels))
	message := sprintf("label %q is missing", [label])
}

deny contains message if {
	not labels.stage in stages
	message := sprintf("stage %q is none of %s", [labels.stage, concat(", ", sort(stages))])
}

deny contains message if {
	some name, value in labels
	not regex.match(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`, value)
	message := sprintf("the value of label %q is no lower-case name", [name])
}

deny contains message if {
	labels.stage == "prod"
	some container in input.request.object.spec.containers
	not pinned(container.image)
	message := sprintf("container %q has no pinned image", [container.name])
}

default labels := {}

labels := input.request.object.metadata.labels

pinned(image) if contains(image, "@sha256:")
