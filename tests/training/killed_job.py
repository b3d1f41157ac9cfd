"""A training of about a second, run as a process that is killed: ``killed_job.py FOLDER``."""

import sys
import time

import numpy as np

import dezero.functions as F
import dezero.random
from dezero.data import DataLoader, Dataset
from dezero.models import MLP
from dezero.optimizers import AdamW
from dezero.training import Accuracy, BestWeights, CSVLog, EarlyStopping, Trainer

EPOCHS, EVERY = 12, 2


class Points(Dataset):
    """Points of the plane, labelled by quadrant."""

    def prepare(self):
        self.data = np.random.default_rng(self.train).uniform(-1, 1, (95, 2)).astype(np.float32)
        self.label = (self.data[:, 0] > 0) * 2 + (self.data[:, 1] > 0)


def job(folder, pause=0.0):
    dezero.random.seed(3)
    model = MLP((32, 32, 4), activation=F.relu, dropout=0.2)
    optimizer = AdamW(0.01).setup(model)

    def augment(x):
        time.sleep(pause)
        return x + 0.02 * dezero.random.normal(x.shape).astype(np.float32)

    return Trainer(
        model,
        optimizer,
        DataLoader(Points(), 10),
        DataLoader(Points(train=False), 95, shuffle=False),
        folder,
        epochs=EPOCHS,
        metrics={"accuracy": Accuracy()},
        callbacks=[BestWeights(), EarlyStopping(patience=100), CSVLog()],
        augment=augment,
        accumulate=3,
        every=EVERY,
    )


if __name__ == "__main__":
    sys.exit(not job(sys.argv[1], pause=0.004).run())
