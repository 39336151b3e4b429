"""The notifier: tells others what happened, by signed webhooks and by feeds with WebSub.

It follows the owners whose logs have something to tell (`gathering`), keeps what follows from each entry together with
where it stands in its own store (`records`), and has a queue for each receiver (`queues`), so that one who fails or
hangs keeps nobody else waiting. `lifecycle` has the rules: who wants what, and what comes of an answer.
"""
