app_name = "safe_restart"
app_title = "Safe Restart"
app_publisher = "The safe_restart developers"
app_description = "Restart a bench without breaking a background job"
app_email = "safe-restart@users.noreply.github.com"
app_license = "mit"

scheduler_events = {"all": ["safe_restart.tasks.release_delayed_jobs"]}
