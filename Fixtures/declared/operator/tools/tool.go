package tools

// +kubebuilder:rbac:groups=skipped,resources=tool,verbs=get
