"""A small suite with every kind of outcome, run by unittest's own main program."""

import unittest


class Numbers(unittest.TestCase):
    def test_sum(self) -> None:
        self.assertEqual(sum(range(10)), 45)

    def test_wrong(self) -> None:
        self.assertEqual(1 + 1, 3)

    def test_error(self) -> None:
        raise KeyError("lost")

    @unittest.skip("not today")
    def test_skipped(self) -> None:
        self.fail()

    @unittest.expectedFailure
    def test_expected(self) -> None:
        self.fail()

    def test_parts(self) -> None:
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)


class Waiting(unittest.IsolatedAsyncioTestCase):
    async def test_gather(self) -> None:
        import asyncio

        async def double(x: int) -> int:
            await asyncio.sleep(0)
            return 2 * x

        self.assertEqual(await asyncio.gather(*map(double, range(4))), [0, 2, 4, 6])


if __name__ == "__main__":
    unittest.main(verbosity=2)
