"""What can become of an interrupted job."""

DELAY = "delay"
REQUEUE, HOLD, FAIL = "requeue", "hold", "fail"
INTERRUPTED_CHOICES = (REQUEUE, HOLD, FAIL)
