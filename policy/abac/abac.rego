# Attributes: who the user is, what the document is, and how the request came, all have to agree.
package abac

default allow := false

allow if {
	count(refusals) == 0
	permitted
}

user := data.abac.users[input.user]

document := data.abac.documents[input.document]

# Owners may do anything with what is theirs.
permitted if document.owner == input.user

permitted if {
	input.action == "read"
	document.department == user.department
}

# Managers also change what their department has.
permitted if {
	input.action in {"read", "update"}
	document.department == user.department
	user.level >= 5
}

refusals contains "the user is not known" if not user

refusals contains "the document is not known" if not document

refusals contains "the clearance is too low" if user.clearance < document.classification

refusals contains "secrets need a second factor" if {
	document.classification >= 3
	not input.mfa
}

refusals contains "the user has left" if user.left
